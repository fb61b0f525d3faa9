//! What one mover moves: an extraction whose tables are replicated between two
//! databases.

use crate::{
    database::{answering, session::Session},
    error::MoverError,
    layout::Layout,
};
use plan::{DatabaseUrl, ExtractionName, Replicate, TableMapping, TableName, TableWrites};
use protocol::Side;

/// An extraction of the plan whose data is replicated.
#[derive(Debug, Clone)]
pub struct ReplicatedExtraction {
    /// The extraction's name.
    pub name: ExtractionName,
    /// Its tables, and between which databases they move.
    pub data: Replicate,
}

/// Moves the data of one extraction. Its operations are in the modules named
/// after them.
#[derive(Debug, Clone)]
pub struct Mover {
    pub(crate) extraction: ReplicatedExtraction,
}

impl Mover {
    /// The mover of an extraction of a plan.
    pub fn new(name: &ExtractionName, data: &Replicate) -> Self {
        Self {
            extraction: ReplicatedExtraction {
                name: name.clone(),
                data: data.clone(),
            },
        }
    }

    /// What moves.
    pub fn extraction(&self) -> &ReplicatedExtraction {
        &self.extraction
    }

    /// The database of a side.
    pub fn database(&self, side: Side) -> &DatabaseUrl {
        match side {
            Side::Monolith => &self.extraction.data.databases.monolith,
            Side::Service => &self.extraction.data.databases.service,
        }
    }

    /// A session on each side, the monolith's first.
    pub(crate) async fn sessions(&self) -> Result<(Session, Session), MoverError> {
        tokio::try_join!(
            Session::open(Side::Monolith, self.database(Side::Monolith)),
            Session::open(Side::Service, self.database(Side::Service)),
        )
    }

    /// Ends, with an error, when one of both databases has not answered for about
    /// half a minute; for beside what waits for them.
    pub async fn unanswered(&self) -> MoverError {
        let [monolith, service] = Side::BOTH.map(|side| self.database(side));
        answering::unanswered(monolith, service).await
    }

    /// The names of everything that is ours.
    pub fn layout(&self) -> Layout {
        Layout::new(&self.extraction.name)
    }

    /// The tables of a side, in the plan's order.
    pub(crate) fn tables(&self, side: Side) -> impl Iterator<Item = &TableName> {
        self.extraction.tables(side)
    }

    /// Those of them that are written like this.
    pub(crate) fn tables_written(
        &self,
        side: Side,
        writes: TableWrites,
    ) -> impl Iterator<Item = &TableName> {
        self.extraction.tables_written(side, writes)
    }
}

impl ReplicatedExtraction {
    /// The tables of a side, in the plan's order.
    pub(crate) fn tables(&self, side: Side) -> impl Iterator<Item = &TableName> {
        self.data
            .tables
            .iter()
            .map(move |mapping| name(mapping, side))
    }

    /// Those of them that are written like this.
    pub(crate) fn tables_written(
        &self,
        side: Side,
        writes: TableWrites,
    ) -> impl Iterator<Item = &TableName> {
        let tables = self.data.tables.iter();
        tables
            .filter(move |mapping| mapping.writes == writes)
            .map(move |mapping| name(mapping, side))
    }

    /// What makes the sides equal again where changes were lost: a sentence.
    pub(crate) fn made_equal(&self) -> String {
        let name = &self.name;
        if self.appends() {
            // A row that one side lacks may be new, or one that it has deleted.
            format!(
                "Both sides insert into a table of it, so `banyan recopy` is refused. While the \
                 monolith owns, `banyan cancel {name} --empty` and start again; after the switch \
                 carry over by hand what only the monolith has, then `banyan finish {name}`"
            )
        } else {
            format!(
                "Run `banyan recopy {name}`: it brings over what is missing. Then `banyan verify \
                 {name}`"
            )
        }
    }

    /// Whether both sides insert into some of its tables.
    pub(crate) fn appends(&self) -> bool {
        let mut tables = self.data.tables.iter();
        tables.any(|mapping| mapping.writes == TableWrites::Append)
    }
}

fn name(mapping: &TableMapping, side: Side) -> &TableName {
    match side {
        Side::Monolith => &mapping.monolith,
        Side::Service => &mapping.service,
    }
}
