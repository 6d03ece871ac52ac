-- network_interfaces: the interfaces of all network namespaces, a row for each IP address (and each additional hardware address) that they have; those without one have one row.
-- virtual_address: the struct net_device: the key to join on
-- name: name of the interface; NULL if it has none
-- active_mac_address: hardware address in use; NULL if there is none or all is zero
-- physical_mac_address: hardware address of the device itself; NULL as active_mac_address
-- additional_mac_address: another hardware address of the device; NULL for none
-- ip_type: ipv4 or ipv6; NULL if it has no IP address
-- ip_address: IP address; NULL if it has none
-- mask: IPv4: the mask as an address; IPv6: the prefix length; NULL as ip_address
-- state: up if it is switched on and can carry packets, else down
-- ifindex: number of the interface in its namespace
-- namespace: inode number of its network namespace
-- mtu: greatest packet, in bytes
-- operstate: UP, DOWN, UNKNOWN ... as ip link shows it
-- flags: comma-separated, as ip link shows them
-- type: ether, loopback, none ...
-- kind: what software makes it: vlan, bridge, veth ...; NULL for hardware and the loopback
-- master_name: the bridge, bond ... that it is a port of; NULL for none
-- link_name: what it lies on, or the other end of a veth; NULL for none
-- list_head: the list that the interface was found on
CREATE VIEW network_interfaces AS
SELECT i.virtual_address, i.name, i.active_mac_address, i.physical_mac_address,
  m.value AS additional_mac_address, a.family AS ip_type, a.address AS ip_address, a.mask, i.state, i.ifindex,
  i.namespace, i.mtu, i.operstate, i.flags, i.type, i.kind, i.master_name, i.link_name, i.list_head
FROM interfaces AS i
LEFT JOIN json_each('["' || replace(i.additional_mac_addresses, ' ', '","') || '"]') AS m
LEFT JOIN interface_addresses AS a ON a.device = i.virtual_address;
