-- process_open_files: the files that each process has open, with osquery's columns; a table that several processes share is listed for each.
-- pid: number of the process
-- fd: number of the descriptor
-- path: as /proc/PID/fd shows it, with mount prefix and ` (deleted)`; pipe:[N], socket:[N], anon_inode:NAME for files without a path
-- inode: number of the inode
-- type: as in task_open_files
-- virtual_address: the open struct file: the key to join on
-- file_table: the files_struct that has the descriptor
CREATE VIEW process_open_files AS
SELECT u.tgid AS pid, f.fd, f.path, f.inode, f.type, f.virtual_address, f.file_table
FROM (SELECT DISTINCT tgid, file_table FROM tasks WHERE file_table IS NOT NULL) AS u
JOIN task_open_files AS f ON f.file_table = u.file_table;
