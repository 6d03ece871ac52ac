-- process_memory_map: what is mapped into each process, with osquery's columns; memory that processes share is listed for each of them.
-- pid: number of the process
-- start: first address: 0x and hexadecimal digits
-- end: the address behind the last one
-- permissions: r, w, x or -, and p (private) or s (shared), as /proc/PID/maps prints them
-- offset: bytes into the file; 0 without a file
-- device: major and minor number of the file's file system in hexadecimal; 00:00 without a file
-- inode: number of the file's inode; 0 without a file
-- path: mapped file, or the kernel's name of the area: [heap], [stack], [anon:NAME] ...; empty if it has none
-- pseudo: 1 if path is no file but such a name, or empty
-- task: the task_struct of the first thread of the process: the key to join on
-- mapping: the vm_area_struct: virtual_address in memory_mappings
CREATE VIEW process_memory_map AS
WITH users AS (
  SELECT m.*, m.tgid AS pid, m.task AS user FROM memory_mappings AS m
  UNION ALL
  SELECT m.*, p.pid, p.virtual_address FROM processes AS p JOIN memory_mappings AS m ON m.page_table = p.page_table
  WHERE p.virtual_address <> m.task
)
SELECT pid, printf('0x%x', region_start) AS start, printf('0x%x', region_end) AS end,
  iif(readable, 'r', '-') || iif(writable, 'w', '-') || iif(executable, 'x', '-') || iif(shared, 's', 'p')
    AS permissions,
  ifnull(file_offset, 0) AS offset, ifnull(device, '00:00') AS device, ifnull(inode, 0) AS inode,
  ifnull(name, '') AS path, name IS NULL OR name IS NOT file_path AS pseudo,
  user AS task, virtual_address AS mapping
FROM users;
