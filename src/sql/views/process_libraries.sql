-- process_libraries: the shared libraries that are mapped into each process, each once.
-- pid: number of the process
-- comm: name of its first thread
-- task: the task_struct of its first thread: the key to join on
-- library: path with mount prefix and ` (deleted)`
CREATE VIEW process_libraries AS
SELECT DISTINCT p.pid, p.comm, p.virtual_address AS task, m.path AS library
FROM process_memory_map AS m JOIN processes AS p ON p.virtual_address = m.task
WHERE m.pseudo = 0 AND (m.path GLOB '*.so' OR m.path GLOB '*.so.*' OR m.path GLOB '*.so (deleted)')
ORDER BY p.pid, library;
