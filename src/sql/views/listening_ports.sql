-- listening_ports: sockets that wait for a peer: TCP, MPTCP and SCTP that listen, UDP and raw without one, unix that listens or has a name; osquery's columns.
-- pid: process; -1 if no process has the socket open
-- port: local port; 0 for unix sockets
-- protocol: 6 TCP, 17 UDP ...
-- family: AF_* number: 1 unix, 2 IPv4, 10 IPv6
-- address: local IP address; 0.0.0.0 or :: for all
-- fd: number of the descriptor; -1 if no process has the socket open
-- socket: number of the socket's inode
-- path: path or @name of a unix socket
-- net_namespace: inode number of its network namespace
-- virtual_address: the struct sock: the key to join on
CREATE VIEW listening_ports AS
SELECT pid, ifnull(local_port, 0) AS port, protocol, family, local_address AS address, fd, socket, path,
  net_namespace, virtual_address
FROM process_open_sockets
WHERE (family IN (2, 10) AND remote_port = 0 AND ifnull(state, 'LISTEN') = 'LISTEN'
       AND (local_port <> 0 OR protocol NOT IN (6, 17, 136))
       AND virtual_address NOT IN (SELECT virtual_address FROM sockets
                                   WHERE type IN ('stream', 'seqpacket') AND state <> 'listen'))
  OR virtual_address IN (SELECT virtual_address FROM sockets WHERE family = 'unix' AND local_address IS NOT NULL
                         AND (state = 'listen' OR type = 'dgram'));
