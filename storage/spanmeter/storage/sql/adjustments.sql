-- one_at_a_time --
-- Corrections are booked one after the other, so that the same one, given twice, is seen.
SELECT pg_advisory_xact_lock(%s);

-- contradicted --
-- One of the given corrections that is booked already, and says something else.
SELECT given.adjustment_id
FROM jsonb_populate_recordset(NULL::adjustments, %s::jsonb) AS given
    JOIN adjustments AS booked USING (adjustment_id)
WHERE ({booked}) IS DISTINCT FROM ({given})
LIMIT 1;

-- insert --
-- Book the given corrections that are not booked yet.
INSERT INTO adjustments ({columns})
SELECT {columns} FROM jsonb_populate_recordset(NULL::adjustments, %s::jsonb)
ORDER BY adjustment_id, time
ON CONFLICT (adjustment_id, time) DO NOTHING;
