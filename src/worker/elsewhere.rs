//! Requests about collections in another database than that of the settings: the lab they are carried out with.

use std::sync::Arc;

use crate::domain::database::Database;
use crate::ops::{Lab, OpsError, database};

use super::Shared;
use super::protocol::{Read, Write};

/// The lab at the database that was asked for last: a person looks at one at a time, and comes back to the settings'.
#[derive(Default)]
pub struct Elsewhere {
    last: Option<(Database, Arc<Lab>)>,
}

impl Elsewhere {
    /// A read as it is carried out, and with what.
    pub fn read(&mut self, home: &Shared, read: Read) -> Result<(Shared, Read), OpsError> {
        Ok(match read {
            Read::At(database, read) => (self.shared(home, database)?, *read),
            read => (home.clone(), read),
        })
    }

    /// The same of a write.
    pub fn write(&mut self, home: &Shared, write: Write) -> Result<(Shared, Write), OpsError> {
        Ok(match write {
            Write::At(database, write) => (self.shared(home, database)?, *write),
            write => (home.clone(), write),
        })
    }

    fn shared(&mut self, home: &Shared, wanted: Database) -> Result<Shared, OpsError> {
        if database::here(&home.lab).as_ref() == Some(&wanted) {
            return Ok(home.clone());
        }
        let lab = match &self.last {
            Some((database, lab)) if *database == wanted => lab.clone(),
            _ => {
                let lab = Arc::new(home.lab.at(&wanted)?);
                self.last = Some((wanted, lab.clone()));
                lab
            }
        };
        Ok(Shared { lab, ..home.clone() })
    }
}
