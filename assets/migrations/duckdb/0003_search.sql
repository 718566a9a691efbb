-- Documents: one table a model, since a vector column has one dimension; the view over them is made with each model.
CREATE SEQUENCE ml_schema.embedding_model_ids;
CREATE TABLE ml_schema.embedding_models (
    id BIGINT NOT NULL DEFAULT nextval('ml_schema.embedding_model_ids'),
    name VARCHAR NOT NULL,
    dimension INTEGER NOT NULL,
    distance VARCHAR NOT NULL DEFAULT 'cosine'
);
CREATE VIEW ml_schema.document_embeddings AS
    SELECT NULL::VARCHAR AS document_id, NULL::VARCHAR AS content_hash, NULL::FLOAT[] AS embedding,
           NULL::VARCHAR AS model_name, NULL::JSON AS metadata, NULL::VARCHAR AS content
    WHERE false;

-- Collections, as Chroma has them.
CREATE SEQUENCE ml_schema.collection_ids;
CREATE TABLE ml_schema.collections (
    id BIGINT NOT NULL DEFAULT nextval('ml_schema.collection_ids'),
    name VARCHAR NOT NULL,
    metadata JSON NOT NULL DEFAULT '{}',
    space VARCHAR NOT NULL DEFAULT 'cosine',
    dimension INTEGER,
    created_at TIMESTAMP NOT NULL DEFAULT make_timestamp(epoch_us(now()))
);
CREATE SEQUENCE ml_schema.record_ids;
CREATE TABLE ml_schema.collection_records (
    position BIGINT NOT NULL DEFAULT nextval('ml_schema.record_ids'),
    collection_id BIGINT NOT NULL,
    id VARCHAR NOT NULL,
    document VARCHAR,
    metadata JSON NOT NULL DEFAULT '{}',
    embedding FLOAT[] NOT NULL
);
