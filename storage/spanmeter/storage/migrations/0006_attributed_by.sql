-- Where a row's tenant was found, so that an attribution that somebody doubts can be traced to the attribute it rests on.

ALTER TABLE usage_events ADD COLUMN attributed_by text;

COMMENT ON COLUMN usage_events.attributed_by IS
    'The attribute that named the tenant; resource: before it is one of the process. NULL: unattributed.';
