# Debian 13, from wherever the build host itself updates: no mirror is named here, and an image builds wherever its
# host can. What the caller sets wins.
export DIB_RELEASE=${DIB_RELEASE:-trixie}

# The main archive is the one that has a security suite beside it. As configured, not as downloaded: a fresh machine has
# the lists of some suites only, or of none.
if [ -z "${DIB_DISTRIBUTION_MIRROR:-}" ] && command -v apt-get > /dev/null; then
    _ha_base_mirrors=$(apt-get indextargets --no-release-info --format '$(RELEASE) $(REPO_URI)' 2> /dev/null | awk '
        { uri[$1] = $2 }
        END { for (release in uri) if (sub(/-security$/, "", release) && release in uri) {
            print "DIB_DISTRIBUTION_MIRROR=" uri[release]
            print "DIB_DEBIAN_SECURITY_MIRROR=" uri[release "-security"] } }') || true
    if [ -n "$_ha_base_mirrors" ]; then
        export $_ha_base_mirrors
    fi
    unset _ha_base_mirrors
fi

# diskimage-builder still takes Debian for a system of Python 2.
export DIB_PYTHON_VERSION=${DIB_PYTHON_VERSION:-3}
