-- process_capabilities: what each process may do: names without CAP_, in the order of their bits; ALL for all that have a name, empty for none, NULL if the set cannot be read.
-- pid: number of the process
-- comm: name of its first thread
-- task: the task_struct of its first thread, whose sets these are: the key to join on
-- effective: what counts now
-- permitted: what it may make effective
-- inheritable: what exec of a file keeps that has them inheritable, too
-- ambient: what exec of an ordinary file keeps
-- bounding: what exec of a file may give
CREATE VIEW process_capabilities AS
SELECT pid, comm, task,
  iif(count(effective), iif(sum(effective AND number <= 40) = 41, 'ALL',
      ifnull(group_concat(iif(effective, capability, NULL), ' '), '')), NULL) AS effective,
  iif(count(permitted), iif(sum(permitted AND number <= 40) = 41, 'ALL',
      ifnull(group_concat(iif(permitted, capability, NULL), ' '), '')), NULL) AS permitted,
  iif(count(inheritable), iif(sum(inheritable AND number <= 40) = 41, 'ALL',
      ifnull(group_concat(iif(inheritable, capability, NULL), ' '), '')), NULL) AS inheritable,
  iif(count(ambient), iif(sum(ambient AND number <= 40) = 41, 'ALL',
      ifnull(group_concat(iif(ambient, capability, NULL), ' '), '')), NULL) AS ambient,
  iif(count(bounding), iif(sum(bounding AND number <= 40) = 41, 'ALL',
      ifnull(group_concat(iif(bounding, capability, NULL), ' '), '')), NULL) AS bounding
FROM (
  SELECT p.pid, p.comm, p.virtual_address AS task, c.*, substr(c.name, 5) AS capability
  FROM processes AS p JOIN task_capabilities AS c ON c.task = p.virtual_address
  ORDER BY p.pid, p.virtual_address, c.number
)
GROUP BY pid, task;
