-- by_reference --
-- What was booked for a reference, in the order in which it was.
SELECT {columns} FROM adjustments WHERE reference = %s ORDER BY booked_at, adjustment_id;

-- any_booked --
-- Whether one of these adjustments is booked.
SELECT EXISTS (SELECT FROM adjustments WHERE adjustment_id = ANY (%s));
