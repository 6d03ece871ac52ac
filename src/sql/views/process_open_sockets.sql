-- process_open_sockets: every socket of every process, with osquery's columns; sockets that no process has are listed with pid -1.
-- pid: process; -1 if no process has the socket open (TIME_WAIT, not yet accepted, the kernel's own)
-- fd: number of the descriptor; -1 if no process has the socket open
-- socket: number of the socket's inode; 0 if it has none
-- family: AF_* number: 1 unix, 2 IPv4, 10 IPv6, 16 netlink, 17 packet ...
-- protocol: as given to socket(2): 6 TCP, 17 UDP ...
-- local_address: local IP address; 0.0.0.0 or :: for all
-- remote_address: address of the other side; 0.0.0.0 or :: if not connected
-- local_port: local port
-- remote_port: port of the other side; 0 if not connected
-- path: path or @name of a unix socket
-- state: of TCP sockets: LISTEN, ESTABLISHED ... in capitals; else NULL
-- net_namespace: inode number of its network namespace
-- virtual_address: the struct sock: the key to join on
CREATE VIEW process_open_sockets AS
WITH every_socket AS (
  SELECT virtual_address, file, inode,
    CASE type WHEN 'ipv4' THEN 2 WHEN 'ipv6' THEN 10 END AS family,
    CASE protocol WHEN 'tcp' THEN 6 WHEN 'udp' THEN 17 ELSE 136 END AS protocol,
    local_address, remote_address, local_port, remote_port, NULL AS path,
    CASE WHEN protocol <> 'tcp' THEN NULL WHEN state = 'close' THEN 'CLOSED' ELSE upper(state) END AS state,
    namespace
  FROM network_connections
  UNION ALL
  SELECT virtual_address, file, inode, family_number, protocol_number,
    iif(family = 'unix', NULL, local_address), iif(family = 'unix', NULL, remote_address),
    local_port, remote_port, iif(family = 'unix', local_address, NULL), NULL, namespace
  FROM sockets
)
SELECT
  ifnull(f.pid, -1) AS pid, ifnull(f.fd, -1) AS fd, ifnull(s.inode, 0) AS socket, s.family, s.protocol,
  s.local_address,
  ifnull(s.remote_address, CASE s.family WHEN 2 THEN '0.0.0.0' WHEN 10 THEN '::' END) AS remote_address,
  s.local_port,
  ifnull(s.remote_port, iif(s.family IN (2, 10), 0, NULL)) AS remote_port,
  s.path, s.state, s.namespace AS net_namespace, s.virtual_address
FROM every_socket AS s LEFT JOIN process_open_files AS f ON f.virtual_address = s.file;
