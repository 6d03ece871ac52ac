-- unbacked_ftrace_ops: operations of function tracing whose function lies neither in the kernel's code nor in that of a module, nor is code that the kernel made itself (trampolines, BPF programs).
-- ops_address: the struct ftrace_ops
-- func: the function that it calls
-- func_addr: the same
-- flags: FTRACE_OPS_FL_* bits
CREATE VIEW unbacked_ftrace_ops AS
SELECT o.virtual_address AS ops_address, o.func, o.func_addr, o.flags
FROM ftrace_ops AS o
WHERE o.func IS NOT NULL
  AND NOT (o.func >= expect(address_of('_stext'), 'the kernel has no symbol _stext')
    AND o.func < expect(address_of('_etext'), 'the kernel has no symbol _etext'))
  AND coalesce(o.func_symbol NOT LIKE '%[\_\_builtin\_\_ftrace]' ESCAPE '\' AND o.func_symbol NOT LIKE '%[bpf]', 1)
  AND NOT EXISTS (SELECT 1 FROM kernel_module_mem_entries AS m
    WHERE m.mem_type IN ('text', 'init_text') AND o.func >= m.start AND o.func < m."end")
ORDER BY o.func, o.virtual_address;
