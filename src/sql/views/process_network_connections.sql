-- process_network_connections: the TCP and UDP sockets of each process, each once.
-- pid: number of the process
-- comm: name of its first thread
-- binary_path: executable, with mount prefix and ` (deleted)`
-- protocol: tcp, udp or udplite
-- local_address: local IP address; 0.0.0.0 or :: for all
-- local_port: local port
-- remote_address: address of the other side; NULL if not connected
-- remote_port: port of the other side; NULL if not connected
-- state: as in network_connections
-- ip_type: ipv4 or ipv6
-- inode: number of the socket's inode
-- namespace: inode number of its network namespace
-- task: the task_struct of its first thread: the key to join on
-- socket: the struct sock: the key to join on
CREATE VIEW process_network_connections AS
SELECT p.pid, p.comm, p.binary_path, c.protocol, c.local_address, c.local_port, c.remote_address, c.remote_port,
  c.state, c.type AS ip_type, c.inode, c.namespace, p.virtual_address AS task, c.virtual_address AS socket
FROM (SELECT DISTINCT t.leader, f.virtual_address AS file
      FROM (SELECT DISTINCT leader, file_table FROM tasks WHERE file_table IS NOT NULL) AS t
      JOIN task_open_files AS f ON f.file_table = t.file_table) AS f
JOIN network_connections AS c ON c.file = f.file
JOIN processes AS p ON p.virtual_address = f.leader
ORDER BY p.pid, c.local_port;
