//! Values of curves for the rows that are here, read together in one reading.

use std::collections::HashMap;

use crate::domain::experiment::ExperimentId;
use crate::domain::filter::Field;
use crate::tui::context::Context;
use crate::tui::remote::Remote;
use crate::worker::protocol::{Answer, Failure, Read, Slot, Ticket};

/// By run, in the order of the fields.
type Values = HashMap<ExperimentId, Vec<Option<f64>>>;

/// The aggregates of curves that are shown.
#[derive(Clone, Debug, Default)]
pub struct Aggregates {
    fields: Vec<Field>,
    values: Remote<Values>,
}

impl Aggregates {
    /// Reads the aggregates among `fields` for these runs; what is known stays meanwhile.
    pub fn read<'a>(
        &mut self,
        cx: &mut Context<'_>,
        fields: impl Iterator<Item = &'a Field>,
        ids: Vec<ExperimentId>,
    ) {
        let fields: Vec<Field> = fields.filter(|field| matches!(field, Field::Curve(..))).cloned().collect();
        if fields != self.fields {
            self.fields = fields;
            self.values.clear();
        }
        let curves: Vec<_> = self
            .fields
            .iter()
            .filter_map(|field| match field {
                Field::Curve(aggregate, name) => Some((*aggregate, name.clone())),
                _ => None,
            })
            .collect();
        if !curves.is_empty() && !ids.is_empty() {
            self.values.load(cx.read(Slot::CurveValues, Read::CurveValues { ids, curves }));
        }
    }

    pub fn take(&mut self, ticket: Ticket, result: &Result<Answer, Failure>) {
        let answer = match result {
            Ok(Answer::CurveValues(rows)) => {
                Ok(rows.iter().map(|row| (row.id, row.values.clone())).collect())
            }
            Ok(_) => return,
            Err(failure) => Err(failure.clone()),
        };
        self.values.fill(ticket, answer);
    }

    pub fn get(&self, id: ExperimentId, field: &Field) -> Option<f64> {
        let index = self.fields.iter().position(|known| known == field)?;
        *self.values.data()?.get(&id)?.get(index)?
    }

    pub fn is_loading(&self) -> bool {
        self.values.is_loading()
    }

    /// Why there are none.
    pub fn failure(&self) -> Option<&Failure> {
        self.values.failure()
    }
}
