//! docker-compose.yml: no engine runs where the tests run, so its shape is what is checked.

use saphyr::{LoadableYamlNode, Yaml};

#[test]
fn the_two_servers_are_pinned_checked_and_kept_off_the_network() {
    let text = include_str!("../../docker-compose.yml");
    let documents = Yaml::load_from_str(text).unwrap();
    let services = &documents[0]["services"];
    for (name, image, port) in
        [("postgres", "pgvector/pgvector:", "5432"), ("chroma", "chromadb/chroma:", "8000")]
    {
        let service = &services[name];
        let used = service["image"].as_str().unwrap();
        assert!(used.starts_with(image) && !used.ends_with("latest"), "{name}: {used}");
        let ports = service["ports"][0].as_str().unwrap();
        assert!(ports.starts_with("127.0.0.1:") && ports.ends_with(port), "{name}: {ports}");
        let check = format!("{:?}", service["healthcheck"]["test"]);
        assert!(!service["healthcheck"]["test"].is_badvalue(), "{name} has no health check");
        assert!(!check.contains("curl"), "{name}: there is no curl in the image");
    }
    let volume = services["postgres"]["volumes"][0].as_str().unwrap();
    assert!(volume.ends_with(":/var/lib/postgresql"), "PostgreSQL 18 keeps its data below: {volume}");
}
