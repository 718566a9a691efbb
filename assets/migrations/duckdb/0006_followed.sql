-- How far the experiment store was followed, as that store counts its changes. Where it is empty everything is looked at once.
ALTER TABLE ml_schema.followed ADD COLUMN mark BIGINT;
