//! Calls for checklists.

use super::{messages::Parameters, steps};
use crate::checklist::ChecklistHandle;
use protocol::rollout::Actor;

/// A person attests an item.
pub(super) async fn attest(
    lists: Option<&ChecklistHandle>,
    by: Option<Actor>,
    parameters: &Parameters,
) -> Result<(), String> {
    let by = by.ok_or_else(|| steps::NOBODY.to_owned())?;
    let note = steps::noted(parameters.note.as_deref().unwrap_or_default())?;
    let item = parameters.item.as_deref();
    let item = item.ok_or_else(|| "which item is missing".to_owned())?;
    let lists = lists.ok_or_else(|| "nobody answers checklists here".to_owned())?;
    lists
        .attest(item, by, note, parameters.text.as_deref())
        .await
}
