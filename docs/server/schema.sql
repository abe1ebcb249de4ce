-- The tables of the reference server. `python server.py --create` runs this file; it may be run again.

CREATE TABLE IF NOT EXISTS site (
    site   text PRIMARY KEY,
    region text NOT NULL DEFAULT ''        -- a code whose beginning is the larger region: 4403 is in 44
);

CREATE TABLE IF NOT EXISTS kiosk (         -- the newest retained state of each
    source           text PRIMARY KEY,     -- /gatepost/v1/SITE/KIOSK
    site             text NOT NULL,
    state            text NOT NULL,        -- online, offline
    since            timestamptz NOT NULL DEFAULT now(),
    software_version text NOT NULL,
    body             jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS kiosk_site ON kiosk (site);

CREATE TABLE IF NOT EXISTS event (
    source   text   NOT NULL,
    epoch    text   NOT NULL,
    sequence bigint NOT NULL,
    kind     text   NOT NULL,
    day      date   NOT NULL,              -- UTC: of the event's time, or on which it came when that is not known
    hash     bytea  NOT NULL,              -- SHA-256 of the payload; the next event names it
    payload  text   NOT NULL,              -- as it came, byte for byte
    PRIMARY KEY (source, epoch, sequence)  -- what comes again is there already
);
CREATE INDEX IF NOT EXISTS event_day ON event USING brin (day);

CREATE TABLE IF NOT EXISTS chain (         -- what is here of each kiosk's life of its store
    source  text   NOT NULL,
    epoch   text   NOT NULL,
    up_to   bigint NOT NULL DEFAULT 0,     -- nothing is missing up to here, or it was given up by a `loss`
    hash    bytea  NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),  -- of the event `up_to`
    runs    jsonb  NOT NULL DEFAULT '[]',  -- beyond a gap: [first, last, previous, hash] each
    lost    jsonb  NOT NULL DEFAULT '[]',  -- [first, last] each, named by a `loss`
    deleted bigint NOT NULL DEFAULT 0,     -- retention has removed the events up to here: they do not come back
    PRIMARY KEY (source, epoch)
);

CREATE TABLE IF NOT EXISTS refused (       -- what was no event of its kiosk: to look at, and to delete
    at timestamptz NOT NULL DEFAULT now(), topic text NOT NULL, reason text NOT NULL, payload bytea NOT NULL
);

CREATE TABLE IF NOT EXISTS personal (      -- what was sealed, opened: give few people the right to read it
    source text NOT NULL, epoch text NOT NULL, sequence bigint NOT NULL, day date NOT NULL, content jsonb NOT NULL,
    PRIMARY KEY (source, epoch, sequence)
);

CREATE TABLE IF NOT EXISTS day_count (     -- outlives the events
    day date NOT NULL, source text NOT NULL, decision text NOT NULL, passages bigint NOT NULL,
    PRIMARY KEY (day, source, decision)
);

CREATE TABLE IF NOT EXISTS report (        -- rounds and days of venues; outlives the events, too
    source text NOT NULL, epoch text NOT NULL, sequence bigint NOT NULL, day date, body jsonb NOT NULL,
    PRIMARY KEY (source, epoch, sequence)
);

CREATE TABLE IF NOT EXISTS alert_case (    -- five letters each, from the passage that opened it to the feedback
    source text NOT NULL, name text NOT NULL, opened date NOT NULL, drill boolean NOT NULL,
    answered date, answer text NOT NULL DEFAULT '',
    PRIMARY KEY (source, name)
);

-- What is missing, and whether the chain breaks there: a run that follows without a gap names another hash.
CREATE OR REPLACE VIEW gap AS
SELECT source, epoch,
       coalesce(lag((run ->> 1)::bigint) OVER (PARTITION BY source, epoch ORDER BY (run ->> 0)::bigint), up_to) + 1 AS first,
       (run ->> 0)::bigint - 1 AS last,
       (run ->> 0)::bigint - 1 <=
       coalesce(lag((run ->> 1)::bigint) OVER (PARTITION BY source, epoch ORDER BY (run ->> 0)::bigint), up_to) AS breaks
FROM chain, jsonb_array_elements(runs) AS run;

-- A day in a region and all below it. A kiosk that has counted nothing is a row of its own: zero is an answer.
CREATE OR REPLACE FUNCTION region_day(prefix text, wanted date)
RETURNS TABLE (region text, site text, source text, passages numeric, admitted numeric, state text)
LANGUAGE sql STABLE AS $$
    SELECT coalesce(site.region, ''), kiosk.site, kiosk.source, coalesce(sum(day_count.passages), 0),
           coalesce(sum(day_count.passages) FILTER (WHERE decision LIKE 'admit%'), 0), kiosk.state
    FROM kiosk
    LEFT JOIN site USING (site)
    LEFT JOIN day_count ON day_count.source = kiosk.source AND day_count.day = wanted
    WHERE coalesce(site.region, '') LIKE replace(replace(prefix, '%', ''), '_', '') || '%'
    GROUP BY site.region, kiosk.site, kiosk.source, kiosk.state ORDER BY 1, 2, 3
$$;

-- Older events go, where nothing before them is missing; counts, reports and cases stay.
CREATE OR REPLACE FUNCTION delete_older(than date) RETURNS bigint LANGUAGE sql AS $$
    DELETE FROM personal WHERE day < than;
    WITH gone AS (
        DELETE FROM event USING chain
        WHERE event.source = chain.source AND event.epoch = chain.epoch AND day < than AND sequence <= up_to
        RETURNING event.source, event.epoch, sequence
    ), latest AS (
        SELECT source, epoch, max(sequence) AS sequence, count(*) AS events FROM gone GROUP BY source, epoch
    ), noted AS (
        UPDATE chain SET deleted = greatest(deleted, sequence) FROM latest
        WHERE chain.source = latest.source AND chain.epoch = latest.epoch
    )
    SELECT coalesce(sum(events), 0)::bigint FROM latest
$$;
