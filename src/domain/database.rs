//! Where collections are kept, on a server that has several databases for several tenants.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A database of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Database {
    pub tenant: String,
    #[serde(rename = "database")]
    pub name: String,
}

impl Database {
    pub fn new(tenant: impl Into<String>, name: impl Into<String>) -> Self {
        Database { tenant: tenant.into(), name: name.into() }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.name)
    }
}

/// A database that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownDatabase {
    #[serde(flatten)]
    pub database: Database,
    /// None where they could not be counted.
    pub collections: Option<u64>,
}
