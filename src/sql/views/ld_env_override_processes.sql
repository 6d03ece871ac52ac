-- ld_env_override_processes: processes that were started with variables that bring code into them through the dynamic linker.
-- pid: number of the process
-- comm: name of its first thread
-- has_ld_preload: 1 if LD_PRELOAD is set
-- has_ld_audit: 1 if LD_AUDIT is set
-- has_ld_library_path: 1 if LD_LIBRARY_PATH is set
-- environment: environment as shell words
-- virtual_address: the task_struct of its first thread: the key to join on
CREATE VIEW ld_env_override_processes AS
-- A string of the environment that needs quotes is quoted as a whole, with its own quotes as '\''.
-- Without those, what lies between the quotes of an odd number and the next is one string.
WITH RECURSIVE candidates AS (
  SELECT pid, comm, environment, virtual_address FROM processes WHERE environment GLOB '*LD_*=*'
), parts(virtual_address, part, rest, is_quoted) AS (
  SELECT virtual_address, '', ' ' || replace(environment, '''\''''', char(1)) || '''', 1 FROM candidates
  UNION ALL
  SELECT virtual_address, substr(rest, 1, instr(rest, '''') - 1), substr(rest, instr(rest, '''') + 1), NOT is_quoted
  FROM parts WHERE rest <> ''
), strings AS (
  SELECT virtual_address, iif(is_quoted, ' ' || replace(part, ' ', '_'), part) AS text FROM parts
), found AS (
  SELECT virtual_address, max(text GLOB '* LD_PRELOAD=*') AS has_ld_preload,
    max(text GLOB '* LD_AUDIT=*') AS has_ld_audit, max(text GLOB '* LD_LIBRARY_PATH=*') AS has_ld_library_path
  FROM strings GROUP BY virtual_address
)
SELECT c.pid, c.comm, f.has_ld_preload, f.has_ld_audit, f.has_ld_library_path, c.environment, c.virtual_address
FROM found AS f JOIN candidates AS c ON c.virtual_address = f.virtual_address
WHERE f.has_ld_preload OR f.has_ld_audit OR f.has_ld_library_path
ORDER BY c.pid;
