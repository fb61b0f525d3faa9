//! What has changed between two catalogues. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::panel::{Catalogue, Panel};

/// From one catalogue to another.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// Panels that only the later one has.
    pub added: Vec<Panel>,
    /// Panels that only the earlier one has.
    pub removed: Vec<Panel>,
    /// Panels that both have, but not the same.
    pub changed: Vec<Changed>,
}

/// A panel that is not what it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// Which one.
    pub id: String,
    /// In which fields.
    pub fields: Vec<FieldChange>,
}

/// A field that is not what it was; `null` where it is not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FieldChange {
    /// Its name; of an attribute `attributes.` and its name.
    pub field: String,
    /// What it was.
    pub from: Value,
    /// What it is.
    pub to: Value,
}

impl Difference {
    /// What has changed.
    pub fn between(earlier: &Catalogue, later: &Catalogue) -> Self {
        let only = |here: &Catalogue, there: &Catalogue| {
            let only = here.values().filter(|panel| !there.contains_key(&panel.id));
            only.cloned().collect()
        };
        let changed = later.values().filter_map(|panel| {
            let before = earlier.get(&panel.id).filter(|before| *before != panel)?;
            Some(Changed {
                id: panel.id.clone(),
                fields: fields(before, panel),
            })
        });
        Self {
            added: only(later, earlier),
            removed: only(earlier, later),
            changed: changed.collect(),
        }
    }

    /// Whether nothing has.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

fn fields(before: &Panel, after: &Panel) -> Vec<FieldChange> {
    let (before, after) = (flat(before), flat(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let of = |all: &Map<String, Value>, name: &str| all.get(name).cloned().unwrap_or_default();
    let both = names.into_iter().map(|name| FieldChange {
        field: name.clone(),
        from: of(&before, name),
        to: of(&after, name),
    });
    both.filter(|field| field.from != field.to).collect()
}

/// A panel field by field, its attributes as fields of their own.
fn flat(panel: &Panel) -> Map<String, Value> {
    let mut fields = match serde_json::to_value(panel) {
        Ok(Value::Object(fields)) => fields,
        // Texts and numbers only: it is an object.
        _ => Map::new(),
    };
    fields.remove("attributes");
    let attributes = panel.attributes.iter();
    fields.extend(
        attributes.map(|(name, value)| (format!("attributes.{name}"), value.clone().into())),
    );
    fields
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::panel::tests::any_catalogue;

    /// Does to a catalogue what a difference says.
    fn applied(catalogue: &Catalogue, difference: &Difference) -> Catalogue {
        let mut result = catalogue.clone();
        for panel in &difference.removed {
            assert_eq!(result.remove(&panel.id).as_ref(), Some(panel));
        }
        for panel in &difference.added {
            assert!(result.insert(panel.id.clone(), panel.clone()).is_none());
        }
        for changed in &difference.changed {
            let mut panel = serde_json::to_value(&result[&changed.id]).unwrap();
            for FieldChange { field, from, to } in &changed.fields {
                let pointer = format!("/{}", field.replace('.', "/"));
                let before = panel.pointer(&pointer).cloned().unwrap_or_default();
                assert_eq!(&before, from);
                let (place, name) = match field.split_once('.') {
                    Some((map, name)) => (&mut panel[map], name),
                    None => (&mut panel, field.as_str()),
                };
                place[name] = to.clone();
                place
                    .as_object_mut()
                    .unwrap()
                    .retain(|_, value| !value.is_null());
            }
            let panel: Panel = serde_json::from_value(panel).unwrap();
            result.insert(changed.id.clone(), panel);
        }
        result
    }

    proptest! {
        #[test]
        fn it_leads_from_one_to_the_other(one in any_catalogue(), other in any_catalogue()) {
            let difference = Difference::between(&one, &other);
            prop_assert_eq!(difference.is_empty(), one == other);
            prop_assert!(difference.changed.iter().all(|changed| !changed.fields.is_empty()));
            prop_assert_eq!(applied(&one, &difference), other);
        }
    }

    #[test]
    fn it_is_written_field_by_field() {
        let panel = |value| serde_json::from_value::<Panel>(value).unwrap();
        let one = panel(json!({ "id": "a", "name": "A", "attributes": { "k": "1" } }));
        let other = panel(json!({ "id": "a", "name": "A", "samples": 5 }));
        let catalogue = |panel: Panel| Catalogue::from([(panel.id.clone(), panel)]);
        let difference = Difference::between(&catalogue(one), &catalogue(other));
        let expected = json!({ "added": [], "removed": [], "changed": [{ "id": "a", "fields": [
            { "field": "attributes.k", "from": "1", "to": null },
            { "field": "samples", "from": null, "to": 5 },
        ] }] });
        assert_eq!(serde_json::to_value(difference).unwrap(), expected);
    }
}
