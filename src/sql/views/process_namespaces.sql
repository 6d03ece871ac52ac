-- process_namespaces: the namespaces of each process, with osquery's columns.
-- pid: number of the process
-- cgroup_namespace: inode number; NULL for zombies
-- ipc_namespace: inode number; NULL for zombies
-- mnt_namespace: inode number; NULL for zombies
-- net_namespace: inode number; NULL for zombies
-- pid_namespace: inode number
-- user_namespace: inode number
-- uts_namespace: inode number; NULL for zombies
-- time_namespace: inode number; NULL for zombies
-- virtual_address: the task_struct of its first thread: the key to join on
CREATE VIEW process_namespaces AS
SELECT pid, cgroup_namespace, ipc_namespace, mnt_namespace, net_namespace, pid_namespace, user_namespace,
  uts_namespace, time_namespace, task AS virtual_address
FROM namespaces WHERE pid = tgid;
