//! Each test that docs/field-reports.md names is there.

use testbed::binaries;

const PAGE: &str = "docs/field-reports.md";

/// A log of fewer would have lost some.
const FEWEST: usize = 30;

/// Lines of the page's tables: the cells of each.
fn reports(page: &str) -> Vec<Vec<&str>> {
    page.lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|line| line.split(" | ").collect())
        .filter(|cells: &Vec<&str>| cells.first() != Some(&"What happened"))
        .collect()
}

/// The texts and the places of a cell's links.
fn links(cell: &str) -> Vec<(&str, &str)> {
    cell.split('[')
        .skip(1)
        .filter_map(|rest| {
            let (text, rest) = rest.split_once("](")?;
            let (place, _) = rest.split_once(')')?;
            Some((text, place))
        })
        .collect()
}

#[test]
fn each_report_has_a_test_that_exists() {
    let repository = binaries::repository();
    let page = std::fs::read_to_string(repository.join(PAGE)).unwrap();
    let reports = reports(&page);
    assert!(reports.len() >= FEWEST, "only {} reports", reports.len());
    let mut wrong = Vec::new();
    for report in &reports {
        let [what, reported, tests, here] = report[..] else {
            wrong.push(format!("not four cells: {report:?}"));
            continue;
        };
        let published = links(reported);
        let elsewhere = |(_, place): &(&str, &str)| place.starts_with("https://");
        if published.is_empty() || !published.iter().all(elsewhere) || here.is_empty() {
            wrong.push(format!("no report, or no verdict: {what}"));
        }
        let tests = links(tests);
        if tests.is_empty() {
            wrong.push(format!("no test: {what}"));
        }
        for (name, place) in tests {
            let path = repository.join("docs").join(place);
            let source = std::fs::read_to_string(&path).unwrap_or_default();
            if !source.contains(&format!("fn {name}(")) {
                wrong.push(format!("{place} has no `{name}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "in {PAGE}:\n{}", wrong.join("\n"));
}

#[test]
fn links_are_read() {
    let cell = "[a 1](https://x/1), [b](../y.rs)";
    assert_eq!(links(cell), [("a 1", "https://x/1"), ("b", "../y.rs")]);
    let page = "| What happened | Reported |\n|---|---|\n| one | two |\ntext\n";
    assert_eq!(reports(page), [["one", "two"]]);
}
