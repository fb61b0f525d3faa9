//! The manifests for Kubernetes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use testbed::set::members::MEMBERS;

use crate::settings::{Declared, is_secret};
use crate::{checker, deploy, example, fails, read, succeeds};

fn files() -> Vec<String> {
    let all = fs::read_dir(deploy("kubernetes")).unwrap();
    let paths = all.map(|file| file.unwrap().path());
    let manifests = paths.filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    let names = manifests.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn resources() -> Vec<Value> {
    let texts = files()
        .into_iter()
        .map(|name| read(&format!("kubernetes/{name}")));
    texts
        .flat_map(|text| serde_saphyr::from_multiple::<Value>(&text).unwrap())
        .collect()
}

fn find(kind: &str, name: &str) -> Value {
    let found = resources().into_iter();
    let mut found = found.filter(|one| one["kind"] == kind && one["metadata"]["name"] == name);
    found
        .next()
        .unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// What a container is given: values as they stand, `secret:KEY`, `config:KEY`.
fn environment(container: &Value) -> BTreeMap<String, String> {
    let variables = container["env"].as_array().unwrap().iter();
    variables
        .map(|one| {
            let from = |kind: &str| one["valueFrom"][kind]["key"].as_str();
            let value = match (from("secretKeyRef"), from("configMapKeyRef")) {
                (Some(key), _) => format!("secret:{key}"),
                (_, Some(key)) => format!("config:{key}"),
                _ => one["value"].as_str().unwrap_or_default().to_owned(),
            };
            (one["name"].as_str().unwrap().to_owned(), value)
        })
        .collect()
}

fn applications() -> Vec<(String, u16)> {
    let members = MEMBERS
        .iter()
        .map(|it| (format!("{}-service", it.name), it.port));
    members.chain([("api-gateway".to_owned(), 8000)]).collect()
}

#[tokio::test]
async fn they_are_as_kubernetes_wants_them() {
    let check = || async { checker("kubernetes-validate").await.arg("--strict") };
    let all = files()
        .into_iter()
        .map(|name| deploy(&format!("kubernetes/{name}")));
    succeeds(check().await.args(all)).await;
    let directory = tempfile::tempdir().unwrap();
    let wrong = directory.path().join("wrong.yaml");
    let text = read("kubernetes/auth-service-deployment.yaml");
    fs::write(&wrong, text.replace("livenessProbe", "livelinessProbe")).unwrap();
    fails(check().await.arg(wrong)).await;
}

#[tokio::test]
async fn every_service_gets_what_it_reads_and_is_asked_where_it_answers() {
    for member in MEMBERS {
        let name = format!("{}-service", member.name);
        let deployment = find("Deployment", &name);
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let mut given = environment(container);
        assert_eq!(given["SERVICE_PORT"], member.port.to_string());
        assert_eq!(container["ports"][0]["containerPort"], member.port);
        for (probe, path) in [
            ("livenessProbe", "/health/live"),
            ("readinessProbe", "/health/ready"),
        ] {
            assert_eq!(container[probe]["httpGet"]["path"], path, "{name}");
            assert_eq!(container[probe]["httpGet"]["port"], member.port, "{name}");
        }
        // Stands in another one's value.
        given.remove("POD_IP");
        if let Some(declared) = Declared::of(member).await {
            assert_eq!(declared.problems(&given), [""; 0], "{name}");
        }
    }
}

#[test]
fn secrets_and_settings_that_are_referred_to_exist() {
    let secrets: BTreeSet<String> = example("kubernetes/secrets.env.example")
        .into_iter()
        .collect();
    let config = find("ConfigMap", "service-config");
    let mut used = BTreeSet::new();
    for (name, _) in applications() {
        let deployment = find("Deployment", &name);
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        for (variable, value) in environment(container) {
            if let Some(key) = value.strip_prefix("secret:") {
                used.insert(key.to_owned());
            } else if let Some(key) = value.strip_prefix("config:") {
                assert!(config["data"][key].is_string(), "{name}: no setting {key}");
            } else {
                assert!(
                    !is_secret(&variable),
                    "{name}: {variable} stands in the file"
                );
            }
        }
    }
    assert_eq!(used, secrets);
    assert!(resources().iter().all(|one| one["kind"] != "Secret"));
}

#[test]
fn the_gateway_gets_what_its_plan_refers_to() {
    let deployment = find("Deployment", "api-gateway");
    let given = environment(&deployment["spec"]["template"]["spec"]["containers"][0]);
    for rest in read("plan/banyan.yaml").split("${").skip(1) {
        let name = rest.split('}').next().unwrap();
        assert!(given.contains_key(name), "{name} is not given");
    }
    for member in MEMBERS {
        let variable = format!("{}_URL", member.name.to_uppercase());
        let url = format!("http://{}-service:{}", member.name, member.port);
        assert_eq!(given[&variable], url);
    }
}

#[test]
fn everything_is_guarded_bounded_and_kept_available() {
    for (name, port) in applications() {
        let deployment = find("Deployment", &name);
        let pod = &deployment["spec"]["template"];
        let labels = &pod["metadata"]["labels"];
        assert_eq!(labels["app"], name.as_str());
        assert_eq!(
            pod["spec"]["securityContext"]["runAsNonRoot"], true,
            "{name}"
        );
        let container = &pod["spec"]["containers"][0];
        let guard = &container["securityContext"];
        assert_eq!(guard["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(guard["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(guard["capabilities"]["drop"][0], "ALL", "{name}");
        let resources = &container["resources"];
        assert!(
            resources["requests"]["cpu"].is_string(),
            "the autoscaler needs it: {name}"
        );
        assert!(resources["limits"]["memory"].is_string(), "{name}");
        let service = find("Service", &name);
        assert_eq!(service["spec"]["selector"]["app"], name.as_str());
        assert_eq!(service["spec"]["ports"][0]["port"], port, "{name}");
        let scaler = find("HorizontalPodAutoscaler", &name);
        assert_eq!(scaler["spec"]["scaleTargetRef"]["name"], name.as_str());
        let budget = find("PodDisruptionBudget", &name);
        assert_eq!(
            budget["spec"]["selector"]["matchLabels"]["app"],
            name.as_str()
        );
        let policy = find("NetworkPolicy", &name);
        assert_eq!(
            policy["spec"]["podSelector"]["matchLabels"]["app"],
            name.as_str()
        );
        assert_eq!(
            policy["spec"]["ingress"][0]["ports"][0]["port"], port,
            "{name}"
        );
    }
    let closed = find("NetworkPolicy", "default-deny");
    assert_eq!(closed["spec"]["ingress"], Value::Null);
    // The seed rolls back by naming another version here.
    assert_eq!(
        find("Service", "api-gateway")["spec"]["selector"]["version"],
        "v1"
    );
}
