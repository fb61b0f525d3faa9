//! What is said where nothing has the name that was given.

/// Of so many letters more or less is a name that was meant.
const LETTERS_MAX: usize = 2;

/// That there is no extraction of this name, with those that there are.
pub fn no_extraction<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let has = match known.as_slice() {
        [] => return format!("no extraction `{name}`; it has none"),
        known => known.join(", "),
    };
    let distance = |one: &&str| strsim::osa_distance(name, one);
    let nearest = known.into_iter().min_by_key(distance);
    // Any name is near to one of two letters.
    let is_near = |one: &&str| {
        let letters = distance(one);
        letters <= LETTERS_MAX && letters * 2 < name.chars().count()
    };
    match nearest.filter(is_near) {
        Some(nearest) => {
            format!("no extraction `{name}`; it has {has} (is `{nearest}` meant?)")
        }
        None => format!("no extraction `{name}`; it has {has}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_meant_is_proposed() {
        let known = ["contracts", "users"];
        for (name, wanted) in [
            (
                "contract",
                "no extraction `contract`; it has contracts, users (is `contracts` meant?)",
            ),
            (
                "uesrs",
                "no extraction `uesrs`; it has contracts, users (is `users` meant?)",
            ),
            ("orders", "no extraction `orders`; it has contracts, users"),
            ("u", "no extraction `u`; it has contracts, users"),
        ] {
            assert_eq!(no_extraction(name, known), wanted);
        }
        assert_eq!(no_extraction("a", []), "no extraction `a`; it has none");
    }
}
