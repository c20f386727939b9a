-- What write-behind keeps in the database. May be run at any time, by any number of processes.
-- cache_queues        how far each journal of a queue is applied, as 32 hexadecimal digits, so that texts order as positions do;
--                     its row is locked while a batch is flushed, and written in the batch's own transaction; up to where the
--                     store has been told of it; the name of the type of its writes
-- cache_dead_letters  writes that the flush refused again and again, with the reason
CREATE TABLE IF NOT EXISTS cache_queues (
    queue text NOT NULL,
    journal text NOT NULL,
    position text NOT NULL,
    settled text NOT NULL,
    holds text NOT NULL,
    PRIMARY KEY (queue, journal)
);

CREATE TABLE IF NOT EXISTS cache_dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue text NOT NULL,
    key text NOT NULL,
    payload bytea NOT NULL,
    reason text NOT NULL,
    since timestamptz NOT NULL DEFAULT now()
);

-- cache_outbox  what covered writes have changed that nobody could be told of (`unreached`), or that they leave in any case; written in
--               their own transactions, deleted when it is delivered. `subjects` are names in UTF-8, one a line; `made` is for its age only
CREATE TABLE IF NOT EXISTS cache_outbox (
    namespace text NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    subjects bytea NOT NULL,
    ticket bigint NOT NULL,
    unreached boolean NOT NULL,
    made timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (namespace, id)
);

CREATE INDEX IF NOT EXISTS cache_outbox_unreached ON cache_outbox (namespace, id) WHERE unreached;
