#!/bin/sh
# Trains a small classifier (logistic regression, two noisy clouds of points) with nothing but awk, and reports as the
# runner `process` reads it: one JSON object a line. Stands in for a training script of your own.
#
#   train.sh --learning-rate 0.1 [--decay 0.001] [--epochs 40] [--pause SECONDS]
set -eu

learning_rate=0.1 decay=0 epochs=40 pause=0
while [ $# -gt 0 ]; do
    case $1 in
        --learning-rate) learning_rate=$2 ;;
        --decay) decay=$2 ;;
        --epochs) epochs=$2 ;;
        --pause) pause=$2 ;;
        *) echo "unknown argument: $1" >&2; exit 2 ;;
    esac
    shift 2
done

echo "training ${LABTOP_MODEL:-a model} on ${LABTOP_DATASET:-made-up data} for $epochs epochs"

# Seeds of labtop have 63 bits; awk takes fewer.
exec awk -v seed="$((${LABTOP_SEED:-1} % 2147483647))" -v rate="$learning_rate" -v decay="$decay" -v epochs="$epochs" \
    -v pause="$pause" '
function noise() { return sqrt(-2 * log(1 - rand())) * cos(6.283185307 * rand()) }
function guess(i) { return 1 / (1 + exp(-(bias + w1 * x1[i] + w2 * x2[i]))) }
BEGIN {
    srand(seed)
    points = 800; train = 600
    for (i = 1; i <= points; i++) {
        side[i] = i % 2
        x1[i] = noise() + (side[i] ? 1 : -1)
        x2[i] = noise() + (side[i] ? 0.5 : -0.5)
    }
    w1 = noise(); w2 = noise(); bias = noise()
    for (epoch = 1; epoch <= epochs; epoch++) {
        loss = 0
        for (i = 1; i <= train; i++) {
            p = guess(i)
            p = p < 1e-9 ? 1e-9 : p > 1 - 1e-9 ? 1 - 1e-9 : p
            loss -= log(side[i] ? p : 1 - p)
            wrong = p - side[i]
            w1 -= rate / 10 * (wrong * x1[i] + decay * w1)
            w2 -= rate / 10 * (wrong * x2[i] + decay * w2)
            bias -= rate / 10 * wrong
        }
        hit = said = right = 0
        for (i = train + 1; i <= points; i++) {
            one = guess(i) > 0.5
            hit += one == side[i]; said += one; right += one && side[i]
        }
        accuracy = hit / (points - train)
        printf "{\"step\": %d, \"metrics\": {\"accuracy\": %.4f, \"loss\": %.6f}}\n", epoch, accuracy, loss / train
        printf "{\"progress\": %.3f}\n", epoch / epochs
        fflush()
        if (pause > 0) system("sleep " pause)
    }
    precision = said ? right / said : 0
    recall = right / ((points - train) / 2)
    f1 = precision + recall ? 2 * precision * recall / (precision + recall) : 0
    printf "{\"result\": {\"accuracy\": %.4f, \"precision\": %.4f, \"recall\": %.4f, \"f1_score\": %.4f, \"loss\": %.6f}}\n",
        accuracy, precision, recall, f1, loss / train
}'
