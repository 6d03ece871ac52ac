-- cached_files: files and block devices with something in the page cache: a row for each process that has the file open or mapped, and one without a process if none has. What the command dump chooses from.
-- path: with mount prefix and ` (deleted)`; NULL if the kernel keeps no name of the file in memory
-- size: bytes
-- bytes_cached: bytes of it that are in the page cache
-- complete: 1 if file_contents() gives the whole file
-- tgid: number of a process that has it open or mapped; NULL if none has
-- task: the task_struct of its first thread; NULL if no process has it
-- inode: number of the inode
-- device: MAJOR:MINOR of the file system
-- file_system: type of the file system
-- type: `regular` or `block`
-- mode: type and permissions, as st_mode of stat(2)
-- uid: user who owns the file
-- gid: group that owns the file
-- mtime: when its content was last changed: Unix time in seconds
-- deleted: 1 if it was deleted, or never had a name in a directory
-- virtual_address: the struct inode: the key to join on
CREATE VIEW cached_files AS
SELECT f.path, f.size, f.bytes_cached, f.complete, u.tgid, u.task, f.inode, f.device, f.file_system, f.type, f.mode,
  f.uid, f.gid, f.mtime, f.deleted, f.virtual_address
FROM files AS f
LEFT JOIN (
  SELECT o.cached_inode AS inode, t.tgid, t.task
  FROM task_open_files AS o
  JOIN (SELECT DISTINCT file_table, tgid, leader AS task FROM tasks) AS t ON t.file_table = o.file_table
  WHERE o.cached_inode IS NOT NULL
  UNION
  SELECT m.cached_inode, t.tgid, t.task
  FROM memory_mappings AS m
  JOIN (SELECT DISTINCT page_table, tgid, leader AS task FROM tasks) AS t ON t.page_table = m.page_table
  WHERE m.cached_inode IS NOT NULL
) AS u
  ON u.inode = f.virtual_address
WHERE f.type IN ('regular', 'block') AND f.bytes_cached > 0;
