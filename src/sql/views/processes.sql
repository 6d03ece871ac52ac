-- processes: one row a process, kernel threads included; the kernel's list and the PID namespace merged.
-- pid: number of the process
-- name: name of its first thread, at most 15 bytes
-- path: executable, with mount prefix and ` (deleted)`; NULL for kernel threads and zombies
-- cmdline: arguments as shell words
-- state: R, S, D, T, t, X, Z, P or I, as ps prints it
-- cwd: working directory
-- root: root directory
-- uid: real user id
-- gid: real group id
-- euid: effective user id
-- egid: effective group id
-- suid: saved user id
-- sgid: saved group id
-- on_disk: 1 if the executable still has a name, 0 if it was deleted, -1 if there is none; NULL on Windows
-- start_time: Unix time in seconds
-- parent: parent process
-- pgroup: process group
-- threads: number of threads
-- session: session
-- tty: controlling terminal
-- virtual_address: the task_struct of its first thread, or the EPROCESS: the key to join on
-- type: `thread_group_leader` or `kthread`; `process` on Windows
-- ppid: process that gets its signals: the tracer while traced
-- tgid: the same as pid
-- comm: the same as name
-- binary_path: the same as path
-- command_line: the same as cmdline
-- environment: environment as shell words
-- page_table: physical address of the root page table
-- exit_code: wait status of an exited process
-- nspid: its number in each PID namespace, outermost first
-- start_boottime: nanoseconds since boot
CREATE VIEW processes AS
SELECT
  pid, comm AS name, binary_path AS path, command_line AS cmdline, state, cwd, root,
  uid, gid, euid, egid, suid, sgid,
  CASE WHEN type = 'process' THEN NULL WHEN binary_path IS NULL THEN -1 WHEN binary_path LIKE '% (deleted)' THEN 0 ELSE 1 END AS on_disk,
  coalesce(create_time, ((SELECT boot_time_ns FROM boot_time) + start_boottime) / 1000000000) AS start_time,
  real_ppid AS parent, pgid AS pgroup, threads, sid AS session, tty,
  virtual_address, type, ppid, tgid, comm, binary_path, command_line, environment, page_table,
  exit_code, nspid, start_boottime
FROM tasks WHERE pid = tgid;
