{{#nova}}
{{#keep_deleted_days}}
# With no date it would take everything: the shell ends when it has none.
before=$(date -u -d '{{keep_deleted_days}} days ago' +%F)
exec nova-manage db archive_deleted_rows --all-cells --until-complete --purge --before "$before"
{{/keep_deleted_days}}
{{/nova}}
