-- Document embeddings with pgvector: one partition per embedding model, so that each has its own dimension, storage and index.
--
-- A step of its own: a database without the extension still keeps experiments, and this is tried again when documents are wanted.

CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE ml_schema.embedding_models (
    name       text PRIMARY KEY,
    dimension  integer NOT NULL CHECK (dimension > 0),
    distance   text NOT NULL DEFAULT 'cosine' CHECK (distance IN ('cosine', 'l2', 'ip', 'l1')),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE ml_schema.document_embeddings (
    document_id  text NOT NULL,
    content_hash text NOT NULL,
    embedding    vector NOT NULL,
    model_name   text NOT NULL,
    metadata     jsonb DEFAULT '{}',
    content      text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model_name, document_id)
) PARTITION BY LIST (model_name);

-- Takes models that plain SQL names before labtop has made their partition; they move there at labtop's first write.
CREATE TABLE ml_schema.document_embeddings_default PARTITION OF ml_schema.document_embeddings DEFAULT;

-- What labtop does for its own documents, for those of plain SQL: registers the model, holds its dimension, takes the content
-- out of the metadata where the statement names none, and lets a document stored again replace the old one.
CREATE FUNCTION ml_schema.take_document() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    known integer;
    given integer := vector_dims(NEW.embedding);
BEGIN
    INSERT INTO ml_schema.embedding_models (name, dimension) VALUES (NEW.model_name, given)
        ON CONFLICT (name) DO NOTHING;
    SELECT dimension INTO known FROM ml_schema.embedding_models WHERE name = NEW.model_name;
    IF known <> given THEN
        RAISE EXCEPTION 'document "%" has % dimensions, but embedding model "%" has %',
            NEW.document_id, given, NEW.model_name, known USING ERRCODE = 'data_exception';
    END IF;
    IF NEW.content = '' AND jsonb_typeof(NEW.metadata -> 'content') = 'string' THEN
        NEW.content := NEW.metadata ->> 'content';
    END IF;
    DELETE FROM ml_schema.document_embeddings
        WHERE model_name = NEW.model_name AND document_id = NEW.document_id;
    RETURN NEW;
END $$;

-- Bulk writes of labtop have done all that already and say so.
CREATE TRIGGER take_document BEFORE INSERT ON ml_schema.document_embeddings
    FOR EACH ROW WHEN (current_setting('labtop.bulk', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION ml_schema.take_document();
