"""The published example as a plain script: for every experiment a connection for each step, row by row, one after another.

    published.py RUNS DIMENSION DUCKDB_FILE      DATABASE_URL and CHROMA_URL say where the servers are

Prints how many seconds the experiments took. Only what no server takes any more is changed: Chroma's version 2 of the API, by
the collection's id.
"""

import json
import os
import sys
import time

import duckdb
import numpy as np
import psycopg2
import requests

RUNS, DIMENSION, FILE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
POSTGRES = os.environ["DATABASE_URL"]
CHROMA = f"{os.environ['CHROMA_URL']}/api/v2/tenants/default_tenant/databases/{os.environ['CHROMA_DATABASE']}/collections"
MODELS = ["RandomForest", "XGBoost", "NeuralNet", "BERT"]
KINDS = ["configuration", "parameters", "course", "result", "note"]

ACCURACY = {"RandomForest": 0.85, "XGBoost": 0.88, "NeuralNet": 0.90, "BERT": 0.92}


def get_postgres_connection():
    return psycopg2.connect(POSTGRES)


def create_experiment(name, model, dataset, parameters):
    conn = get_postgres_connection()
    cur = conn.cursor()
    cur.execute(
        """INSERT INTO ml_schema.experiments (name, model_type, dataset, parameters, status)
           VALUES (%s, %s, %s, %s, 'running') RETURNING id""",
        (name, model, dataset, json.dumps(parameters)),
    )
    experiment = cur.fetchone()[0]
    conn.commit()
    cur.close()
    conn.close()
    return experiment


def collection_id(name):
    answer = requests.post(CHROMA, json={"name": name, "metadata": {"description": "runs"}, "get_or_create": True})
    answer.raise_for_status()
    return answer.json()["id"]


def add_documents_to_chroma(collection, documents):
    answer = requests.post(
        f"{CHROMA}/{collection}/add",
        json={
            "ids": [doc["id"] for doc in documents],
            "embeddings": [doc["embedding"] for doc in documents],
            "documents": [doc["content"] for doc in documents],
            "metadatas": [doc["metadata"] for doc in documents],
        },
    )
    answer.raise_for_status()


def store_performance(model, dataset, accuracy):
    conn = duckdb.connect(FILE)
    conn.execute(
        "INSERT INTO experiments_performance VALUES (current_date, ?, ?, ?, ?, ?, ?, ?)",
        (model, dataset, accuracy, accuracy - 0.02, accuracy + 0.02, 120.0, 15.5),
    )
    conn.close()


def finish_experiment(experiment, results):
    conn = get_postgres_connection()
    cur = conn.cursor()
    cur.execute(
        "UPDATE ml_schema.experiments SET status = 'completed', results = %s WHERE id = %s",
        (json.dumps(results), experiment),
    )
    conn.commit()
    cur.close()
    conn.close()


def run(index):
    model, dataset = MODELS[index % len(MODELS)], "published"
    experiment = create_experiment(f"{model} {index}", model, dataset, {"learning_rate": 0.1, "batch_size": 16})
    accuracy = float(ACCURACY[model] + np.random.normal(0, 0.02))
    documents = [
        {
            "id": f"{experiment}/{kind}",
            "content": f"The {kind} of experiment {experiment}: {model} on {dataset}.",
            "embedding": np.random.normal(0, 0.1, DIMENSION).tolist(),
            "metadata": {"experiment_id": experiment, "model": model, "dataset": dataset, "kind": kind},
        }
        for kind in KINDS
    ]
    add_documents_to_chroma(collection_id(f"{model.lower()}_{dataset}"), documents)
    store_performance(model, dataset, accuracy)
    finish_experiment(experiment, {"accuracy": accuracy, "inference_time_ms": 15.5})


def main():
    np.random.seed(1)
    conn = duckdb.connect(FILE)
    conn.execute(
        """CREATE TABLE experiments_performance (date DATE, model_name VARCHAR, dataset VARCHAR, accuracy DOUBLE,
           precision DOUBLE, recall DOUBLE, training_time_sec DOUBLE, inference_time_ms DOUBLE)"""
    )
    conn.close()
    begun = time.perf_counter()
    for index in range(RUNS):
        run(index)
    print(time.perf_counter() - begun)


main()
