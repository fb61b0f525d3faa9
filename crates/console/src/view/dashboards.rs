//! Links to Grafana, where the plan says where that is.

use conductor::status::Status;

/// The dashboards of `deploy/grafana`: their `uid`s there, and what they are called here.
const DASHBOARDS: [(&str, &str); 2] = [
    ("banyan-migration", "Migration in Grafana"),
    ("banyan-services", "Services in Grafana"),
];

/// A link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dashboard {
    pub(crate) url: String,
    pub(crate) label: &'static str,
}

/// All of them; none without an address.
pub(crate) fn dashboards(status: &Status) -> Vec<Dashboard> {
    let Some(grafana) = &status.grafana else {
        return Vec::new();
    };
    let link = |(uid, label)| Dashboard {
        url: format!("{grafana}/d/{uid}"),
        label,
    };
    DASHBOARDS.into_iter().map(link).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_linked_by_the_uid_that_it_has() {
        assert!(dashboards(&Status::default()).is_empty());
        let status = Status {
            grafana: Some("https://ops.example/grafana".to_owned()),
            ..Status::default()
        };
        let links = dashboards(&status);
        let first = "https://ops.example/grafana/d/banyan-migration";
        assert_eq!(links[0].url, first);
        let files = [
            include_str!("../../../../deploy/grafana/dashboards/migration.json"),
            include_str!("../../../../deploy/grafana/dashboards/services.json"),
        ];
        for (file, (uid, _)) in files.into_iter().zip(DASHBOARDS) {
            let file: serde_json::Value = serde_json::from_str(file).unwrap();
            assert_eq!(file["uid"], uid);
        }
    }
}
