-- all_at_once --
-- What is deferred to the end of a transaction is to be told of the row itself.
SET CONSTRAINTS ALL IMMEDIATE;

-- create_refusals --
-- Tries each staged event by itself: those that are refused for what they hold, and why. It goes with its transaction.
CREATE FUNCTION pg_temp.refusals() RETURNS TABLE (refused_place integer, refusal text) LANGUAGE plpgsql AS $$
DECLARE
    staged record;
BEGIN
    FOR staged IN SELECT * FROM staged_usage_events ORDER BY time, trace_id, span_id LOOP
        BEGIN
            INSERT INTO usage_events ({columns}) VALUES ({values}) ON CONFLICT (trace_id, span_id, time) DO NOTHING;
        EXCEPTION
            -- The classes of SQLSTATE that are taken for a row's fault everywhere else; anything else ends the trial.
            WHEN data_exception OR integrity_constraint_violation OR program_limit_exceeded OR raise_exception THEN
                refused_place := staged.place;
                refusal := SQLERRM;
                RETURN NEXT;
        END;
    END LOOP;
END
$$;

-- refusals --
-- What has no chance, by its place in the batch.
SELECT refused_place, refusal FROM pg_temp.refusals();
