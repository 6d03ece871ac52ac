-- process_ptrace_flags: how each process is traced.
-- pid: number of the process
-- comm: name of its first thread
-- task: the task_struct of its first thread, whose flags these are: the key to join on
-- flags: the flags that are set, without PT_, in the order of their bits; empty if nobody traces it
-- raw: all bits: 0x and eight hexadecimal digits
-- tracer: the task_struct of the thread that traces it; NULL if none does
-- tracer_pid: number of that thread
CREATE VIEW process_ptrace_flags AS
SELECT pid, comm, task,
  iif(count(value), ifnull(group_concat(iif(value = '1', substr(name, 4), NULL), ' '), ''), NULL) AS flags,
  max(iif(name = 'raw', value, NULL)) AS raw, tracer, tracer_pid
FROM (
  SELECT p.pid, p.comm, p.virtual_address AS task, f.name, f.value, f.tracer, f.tracer_pid
  FROM processes AS p JOIN task_ptrace_flags AS f ON f.task = p.virtual_address
)
GROUP BY pid, task;
