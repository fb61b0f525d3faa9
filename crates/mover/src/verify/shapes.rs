//! Keeps what the tables were made of when they were proven to agree.

use crate::{
    catalog::MovedTable,
    database::{session::Session, sql},
    error::MoverError,
    objects::shape::{self, Kept, Shape},
};
use plan::{ExtractionName, TableName};

/// Both sides' tables when the comparison began.
pub(super) struct Shapes<'a> {
    extraction: &'a ExtractionName,
    moved: &'a [MovedTable],
    sides: [(&'a Session, Vec<Option<Shape>>); 2],
}

impl<'a> Shapes<'a> {
    pub(super) async fn read(
        extraction: &'a ExtractionName,
        moved: &'a [MovedTable],
        sessions: [&'a Session; 2],
    ) -> Result<Self, MoverError> {
        let [one, other] = sessions;
        Ok(Self {
            extraction,
            moved,
            sides: [
                (one, current(moved, one).await?),
                (other, current(moved, other).await?),
            ],
        })
    }

    /// The comparison found nothing. Keeps what was compared, unless a table was
    /// changed meanwhile: then it may have been compared before that.
    pub(super) async fn proven(self) -> Result<(), MoverError> {
        for (session, before) in &self.sides {
            if current(self.moved, session).await? != *before {
                tracing::warn!(side = %session.side(), "a table was changed while it was compared");
                return Ok(());
            }
        }
        for (session, shapes) in &self.sides {
            let side = session.side();
            let known = shape::kept(session, self.extraction).await?;
            let mut keep = Vec::new();
            for (table, shape) in self.moved.iter().zip(shapes) {
                let (name, Some(shape)) = (table.name(side), shape) else {
                    continue;
                };
                let moving = table.column_names(side);
                let mut kept = Kept::of(shape, &moving);
                if let Some(known) = known.get(&sql::table(name)) {
                    // One that only this side has is not made the other's
                    // business by a proof that cannot see it.
                    kept.columns.retain(|column, new| {
                        let before = known.columns.get(column);
                        new.moves || before.is_some_and(|before| !before.moves)
                    });
                }
                keep.push((name, kept));
            }
            shape::keep(session, self.extraction, &keep).await?;
        }
        Ok(())
    }
}

async fn current(
    moved: &[MovedTable],
    session: &Session,
) -> Result<Vec<Option<Shape>>, MoverError> {
    let names: Vec<&TableName> = moved
        .iter()
        .map(|table| table.name(session.side()))
        .collect();
    shape::current(session, &names).await
}
