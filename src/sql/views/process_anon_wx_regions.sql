-- process_anon_wx_regions: memory that is writable and executable at once and has no file behind it, as injected code needs it.
-- pid: number of the process
-- comm: name of its first thread
-- task: the task_struct of its first thread: the key to join on
-- region_start: first address, in the process's address space
-- region_end: the address behind the last one
-- readable: 1 if it may be read
-- writable: 1
-- executable: 1
-- shared: 1 if it was made with MAP_SHARED
-- name: the kernel's name of the area: [heap], [stack], [anon:NAME] ...; NULL if it has none
-- page_table: physical address of the root page table of the process
CREATE VIEW process_anon_wx_regions AS
SELECT p.pid, p.comm, m.task, m.region_start, m.region_end, m.readable, m.writable, m.executable, m.shared, m.name,
  m.page_table
FROM memory_mappings AS m JOIN processes AS p ON p.virtual_address = m.task
WHERE m.writable AND m.executable AND m.file IS NULL
ORDER BY p.pid, m.region_start;
