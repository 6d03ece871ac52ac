-- mquire_diagnostics: the diagnostics table under the name and with the columns that mquire has.
-- time: when it was noticed: UTC, RFC 3339
-- level: 1 error, 2 warning, 3 information, 4 detail
-- type: the level as a word
-- location: layer, or structure and member, that it is about
-- message: what, where, and what was expected
CREATE VIEW mquire_diagnostics AS
SELECT time, level, type, location, message FROM diagnostics;
