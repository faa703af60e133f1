"""Every rule of the checker: a stable identifier, what it means and why, and what to do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One kind of finding. ``why`` explains it, ``fix`` says what to do; both are sentences."""

    id: str
    title: str
    why: str
    fix: str


_ALL = (
    Rule(
        "THA002",
        "Not readable as YAML or JSON",
        "The text ends in the middle, a quote or bracket is open, or the indentation does not fit.",
        "Correct the notation at the place that is named.",
    ),
    Rule(
        "THA003",
        "Key stands twice",
        "Parsers silently keep one of the two, and not all of them the same one.",
        "Remove one of the two.",
    ),
    Rule(
        "THA004",
        "Nested too deeply",
        "The metadata needs six levels; this is another kind of file.",
        "Check which file was given.",
    ),
    Rule(
        "THA005",
        "Too large",
        "The text is larger than metadata can be, or its aliases multiply to more than that.",
        "Check which file was given, and what its aliases stand for.",
    ),
    Rule(
        "THA006",
        "Alias of itself",
        "A value that contains itself has no end and cannot be written as JSON.",
        "Write the value out.",
    ),
    Rule(
        "THA007",
        "No map at the top",
        "A document is a map of sections.",
        "Begin with the keys cluster and node.",
    ),
    Rule(
        "THA008",
        "Key that is not text",
        "JSON, which the nodes are handed, has only text as keys.",
        "Put the key in quotes; on, off, yes and no are booleans in YAML.",
    ),
    Rule(
        "THA009",
        "Value that JSON does not have",
        "Dates, NaN and infinities do not survive the way to the node.",
        "Put a date in quotes; write a finite number.",
    ),
    Rule(
        "THA010",
        "Not text in UTF-8",
        "The file is binary, in another encoding, or begins with a byte order mark that the nodes' "
        "JSON parser refuses.",
        "Save it as UTF-8 without a byte order mark.",
    ),
    Rule(
        "THA011",
        "Tab in the indentation",
        "YAML indents with spaces only.",
        "Replace the tab by spaces.",
    ),
    Rule(
        "THA012",
        "Several documents in one file",
        "A node has one document; the rest would never be read.",
        "Put each into a file of its own.",
    ),
    Rule(
        "THA013",
        "Empty document",
        "Nothing stands in the file.",
        "Begin with the keys cluster and node.",
    ),
    Rule(
        "THA014",
        "Tag",
        "A YAML tag asks for a type that JSON does not have.",
        "Remove the tag.",
    ),
    Rule(
        "THA015",
        "No metadata in the template",
        "The file is a Heat template or the description of a stack, and nothing in it looks like a "
        "controller's metadata.",
        "Check which file was given, or give the metadata itself.",
    ),
    Rule(
        "THA101",
        "Undeclared key",
        "Nothing reads this key: it is misspelt, stands in the wrong place, or belongs under extra. In {KEY:VALUE} all "
        "is key, because no blank follows the colon.",
        "Correct it, move it, put it under the service's extra map, or put a blank after the colon.",
    ),
    Rule(
        "THA102",
        "Missing key",
        "The section cannot work without this key, and it has no default.",
        "Add it.",
    ),
    Rule(
        "THA103",
        "Wrong type",
        "The value is of another type than the key takes.",
        "Write it as the type that is named.",
    ),
    Rule(
        "THA104",
        "None of the possible values",
        "The key takes one of a few words.",
        "Choose one of them.",
    ),
    Rule(
        "THA105",
        "Out of bounds",
        "The number is smaller or larger than what works.",
        "Choose a value within the bounds, and mind the unit.",
    ),
    Rule(
        "THA106",
        "Wrong form",
        "The text is not of the form that the key takes: an address, a name, a key.",
        "Write it in the form that is named.",
    ),
    Rule(
        "THA107",
        "Wrong length",
        "The text or the list is shorter or longer than what works or is safe.",
        "Choose a value within the bounds.",
    ),
    Rule(
        "THA108",
        "Item stands twice",
        "Every item of this list may stand once.",
        "Remove one.",
    ),
    Rule(
        "THA109",
        "Name that cannot be used",
        "The name would end up in a configuration file and break it.",
        "Use a name of the form that is named.",
    ),
    Rule(
        "THA201",
        "Two nodes of one name",
        "The name is what a node is known by.",
        "Give each node its own.",
    ),
    Rule(
        "THA202",
        "Two nodes with one address",
        "The services find each other by address.",
        "Give each node its own.",
    ),
    Rule(
        "THA203",
        "Node not in the list",
        "A node that is not in cluster.nodes does not know its place in it.",
        "Add it to cluster.nodes on every node, or correct node.name.",
    ),
    Rule(
        "THA204",
        "Virtual address is a node's own",
        "It would be on two machines at once.",
        "Choose a free address.",
    ),
    Rule(
        "THA205",
        "Virtual address and nodes in different networks",
        "The address could be put on the interface, but nobody would reach it.",
        "Correct the address or the prefix.",
    ),
    Rule(
        "THA206",
        "One virtual address twice",
        "HAProxy would offer public and control services on one address.",
        "Choose another address.",
    ),
    Rule(
        "THA207",
        "Even number of voters",
        "An even number of nodes tolerates no more losses than one fewer, and can split in halves.",
        "Use 1, 3, 5, 7 or 9 nodes.",
    ),
    Rule(
        "THA208",
        "Too few nodes for high availability",
        "With fewer than three nodes the loss of one leaves no majority.",
        "Use at least three nodes, or do without fencing.",
    ),
    Rule(
        "THA209",
        "Caches larger than the memory",
        "The kernel would kill the database under load.",
        "Lower the caches, or correct node.memory_mb.",
    ),
    Rule(
        "THA210",
        "Password made of its user's name",
        "It is the first that is tried.",
        "Generate a random one.",
    ),
    Rule(
        "THA211",
        "Password of an example",
        "It is published in the documentation.",
        "Generate a random one.",
    ),
    Rule(
        "THA212",
        "No fencing for a singleton",
        "When the network splits, a node that cannot be silenced may go on running what another has taken over.",
        "Configure pacemaker.fencing with a device for every node.",
    ),
    Rule(
        "THA213",
        "Fence devices and nodes do not match",
        "A node without a device cannot be fenced; a device without a node fences nothing.",
        "Declare exactly one device for each node.",
    ),
    Rule(
        "THA214",
        "Port of another service",
        "Only one of the two could listen.",
        "Choose another port.",
    ),
    Rule(
        "THA215",
        "Consensus time too short",
        "Corosync refuses to start with a consensus time below 1.2 times the token time.",
        "Raise consensus_ms, or lower token_ms.",
    ),
    Rule(
        "THA216",
        "Two keys with one index or value",
        "An index names a file, and a key that stands twice is not rotated.",
        "Give each key its own index and value.",
    ),
    Rule(
        "THA217",
        "Corosync key of a wrong size",
        "Corosync takes keys of 128 to 4096 bytes.",
        "Generate one of 256 bytes.",
    ),
    Rule(
        "THA218",
        "One secret for two purposes",
        "Who learns one has both.",
        "Generate one for each.",
    ),
    Rule(
        "THA219",
        "Needed service is not run",
        "A service whose key is absent is not run, and this one cannot work without it.",
        "Add the needed service's key.",
    ),
    Rule(
        "THA220",
        "Network or broadcast address",
        "It belongs to no host.",
        "Choose another address.",
    ),
    Rule(
        "THA221",
        "Password of few characters",
        "A password of fewer than five different characters is soon guessed.",
        "Generate a random one.",
    ),
    Rule(
        "THA222",
        "No staged key",
        "With no key at index 0, a rotation makes keys that the other nodes do not know yet.",
        "Add a key with index 0.",
    ),
    Rule(
        "THA223",
        "Not a certificate or key",
        "The PEM holds something else, is damaged, or the private key is encrypted, so that HAProxy would not start.",
        "Give certificates in the one, and the private key without a passphrase in the other.",
    ),
    Rule(
        "THA224",
        "Key of another certificate",
        "HAProxy refuses a certificate and a private key that do not belong together.",
        "Give the key that the certificate was made for.",
    ),
    Rule(
        "THA225",
        "Certificate for other names",
        "Clients compare the endpoint's host with the subject alternative names, and refuse one that is not there.",
        "Have a certificate issued for the name beside it or, without one, for the virtual address.",
    ),
    Rule(
        "THA226",
        "Certificates in the wrong order",
        "Clients are sent them as they stand: the server's own first, each followed by the one that issued it.",
        "Put the server's own certificate first, then its issuer, and so on.",
    ),
    Rule(
        "THA227",
        "Certificate of an unknown authority",
        "Clients trust tls.ca alone, and nothing there has issued the last certificate.",
        "Add the missing certificates in between, or the authority to tls.ca.",
    ),
    Rule(
        "THA228",
        "Certificate not valid now",
        "It has expired, or its time has not come yet; clients refuse it. A controller takes it nevertheless: one that "
        "boots with it serves everything else.",
        "Renew it: tripleo-ha metadata renew-certificate.",
    ),
    Rule(
        "THA229",
        "Certificate expires soon",
        "In less than 30 days clients will refuse it.",
        "Renew it: tripleo-ha metadata renew-certificate.",
    ),
    Rule(
        "THA230",
        "Images on one controller's disk",
        "An image that is kept in a file of one controller is not found by the others.",
        "Keep images in a store that all controllers share, or run a single controller.",
    ),
    Rule(
        "THA231",
        "Too few connections to the database",
        "Each process of a service keeps connections to its database open and needs more under load. When the database "
        "takes no more, requests fail in all services, and only then.",
        "Raise mysql.max_connections, or lower workers.",
    ),
    Rule(
        "THA240",
        "A single L3 agent without Pacemaker",
        "Nothing would start it on another controller, or keep a second one from running.",
        "Run Pacemaker, or an L3 agent on every controller: neutron.l3: ha.",
    ),
    Rule(
        "THA241",
        "No VLANs for networks of projects",
        "No network could be made by a project.",
        "Give a physical network vlans, or carry networks in tunnels.",
    ),
    Rule(
        "THA242",
        "Tunnels with a datapath in user space",
        "Such a datapath sends tunnels through its own bridges only, where the nodes' addresses are not.",
        "Carry networks of projects as VLANs.",
    ),
    Rule(
        "THA243",
        "Two physical networks with one name, bridge or interface",
        "What is meant for one of the two would go to the other.",
        "Give each physical network a name, a bridge and an interface of its own.",
    ),
    Rule(
        "THA244",
        "A virtual address on a bridge's interface",
        "An interface that becomes a port of a bridge no longer is the node's own, and its addresses are not reached.",
        "Give the bridge an interface that carries no address.",
    ),
    Rule(
        "THA250",
        "Volumes without fencing",
        "Two controllers that write to one volume destroy it, and one that is cut off goes on writing until it is "
        "silenced.",
        "Configure pacemaker.fencing with a device for every node, or do without cinder_volume.",
    ),
    Rule(
        "THA251",
        "Volumes on a controller",
        "Storage that is a controller's own is lost with it, and the volume service finds none of it elsewhere.",
        "Name storage outside of the controllers that all of them reach.",
    ),
    Rule(
        "THA252",
        "Volume service without storage",
        "It has nowhere to make a volume.",
        "Describe the storage: cinder_volume.rbd, cinder_volume.nfs, or both.",
    ),
    Rule(
        "THA270",
        "No object store",
        "What is to be kept in Swift is kept nowhere unless another object store is entered in Keystone's catalogue.",
        "Add the key swift, or on a single controller keep it in files.",
    ),
    Rule(
        "THA271",
        "Measures on one controller's disk",
        "Measures that are kept in files of one controller are not found by the others.",
        "Keep measures in a store that all controllers share, or run a single controller.",
    ),
    Rule(
        "THA301",
        "Two documents for one node",
        "Only one of them can be the node's.",
        "Remove one, or correct node.name.",
    ),
    Rule(
        "THA302",
        "Nodes differ where they must not",
        "Only the section node may differ within a cluster.",
        "Give every node the same values.",
    ),
    Rule(
        "THA303",
        "Node without a document",
        "The node is listed as a member and would never be configured.",
        "Add its document, or remove it from cluster.nodes.",
    ),
)

RULES: dict[str, Rule] = {rule.id: rule for rule in _ALL}
"""Every rule by its identifier. An identifier is never given to another rule."""
