-- tasklist_pidns_differences: threads that only one of the two sources has: hidden by unlinking, or in the middle of a fork or an exit.
-- pid: number of the thread
-- comm: its name
-- virtual_address: the task_struct: the key to join on
-- visibility: hidden_from_task_list or hidden_from_pid_ns
CREATE VIEW tasklist_pidns_differences AS
SELECT pid, comm, virtual_address,
  iif(source = 'task_list', 'hidden_from_pid_ns', 'hidden_from_task_list') AS visibility
FROM tasks WHERE source != 'both';
