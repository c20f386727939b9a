use super::*;

fn parse(url: &str) -> Target {
    Target::parse(url).unwrap()
}

fn at(host: &str, port: u16) -> Endpoint {
    Endpoint { host: host.into(), port }
}

fn login(user: Option<&str>, password: &str) -> Option<Login> {
    Some(Login { user: user.map(Into::into), password: password.into() })
}

#[test]
fn a_url_names_host_port_database_user_and_password() {
    let target = parse("redis://ann:s%23cret@cache.example:6380/3");
    let access = Access { login: login(Some("ann"), "s#cret"), database: 3, tls: None };
    assert_eq!(target, Target { topology: Topology::Server(at("cache.example", 6380)), access });
    for plain in
        ["redis://127.0.0.1", "valkey://127.0.0.1/", "redis://@127.0.0.1:6379/0", "redis://:@127.0.0.1"]
    {
        let topology = Topology::Server(at("127.0.0.1", 6379));
        assert_eq!(parse(plain), Target { topology, access: Access::default() }, "{plain}");
    }
    assert_eq!(parse("redis://:p@ss:word@h").access.login, login(None, "p@ss:word"));
    assert_eq!(parse("redis://[::1]:7/1").to_string(), "Redis at [::1]:7, database 1");
}

#[test]
fn a_sentinel_url_names_the_sentinels_and_the_master() {
    let target = parse(
        "redis+sentinel://ann:s3cret@a,b:7,[::1],[fe80::1]:8/my%2Dmaster/2?sentinel_user=watch&sentinel_password=s%26",
    );
    let sentinels = vec![at("a", 26379), at("b", 7), at("::1", 26379), at("fe80::1", 8)];
    let topology =
        Topology::Sentinel { sentinels, master: "my-master".into(), login: login(Some("watch"), "s&") };
    assert_eq!(target.topology, topology);
    assert_eq!(target.access, Access { login: login(Some("ann"), "s3cret"), database: 2, tls: None });
    let text =
        "Redis master my-master of the sentinels at a:26379, b:7, [::1]:26379, [fe80::1]:8, database 2";
    assert_eq!(target.to_string(), text);
    assert_eq!(parse("valkey+sentinel://a/m").access, Access::default());
}

#[test]
fn a_cluster_url_names_seeds() {
    let target = parse("redis+cluster://:pw@a,b:7001,[::1]/");
    assert_eq!(
        target.topology,
        Topology::Cluster { seeds: vec![at("a", 6379), at("b", 7001), at("::1", 6379)] }
    );
    assert_eq!(target.access.login, login(None, "pw"));
    assert_eq!(target.to_string(), "Redis Cluster at a:6379, b:7001, [::1]:6379");
}

#[test]
fn an_s_behind_the_scheme_is_tls_wherever_it_leads() {
    for url in ["rediss://a", "valkeys://a", "rediss+sentinel://a/m", "valkeys+cluster://a,b"] {
        assert_eq!(parse(url).access.tls, Some(Tls::default()), "{url}");
    }
    let tls = Tls { ca: Some("/etc/my ca.pem".into()), identity: Some(("/c.pem".into(), "/k.pem".into())) };
    assert_eq!(parse("rediss://a?ca=/etc/my%20ca.pem&cert=/c.pem&key=/k.pem").access.tls, Some(tls));
}

#[test]
fn what_cannot_be_used_is_said_without_the_password() {
    let mistakes = [
        ("127.0.0.1:6379", "does not begin with redis://"),
        ("http://:s3cret@host", "does not begin with redis://"),
        ("", "does not begin with redis://"),
        ("unix:///run/redis.sock?pass=s3cret", "Unix sockets"),
        ("redis+unix:///run/redis.sock?pass=s3cret", "Unix sockets"),
        ("redis+sentinel+cluster://:s3cret@a,b/m", "mixes schemes"),
        ("redis+proxy://:s3cret@a", "only `sentinel` and `cluster`"),
        ("redis-sentinel://:s3cret@a/m", "redis+sentinel://"),
        ("rediss-cluster://:s3cret@a", "redis+cluster://"),
        ("redis://:s3cret@a:1,b:2", "several servers"),
        ("redis://:s3cret@a,redis://:s3cret@b", "a second `://`"),
        ("redis://:s3cret@host/first", "no number of a database"),
        ("redis://:s3cret@host/-1", "no number of a database"),
        ("redis://:s3cret@host/1/2", "more parts"),
        ("redis://:s3cret@host:port", "no number from 1 to 65535"),
        ("redis://:s3cret@host:0", "no number from 1 to 65535"),
        ("redis://:s3cret@host:65536", "no number from 1 to 65535"),
        ("redis://:s3cret@", "names no host"),
        ("redis://:s3cret@:6379", "names no host"),
        ("redis://:s3cret@ho st", "no host has"),
        ("redis://:s3cret@::1", "names no host"),
        ("redis://:s3cret@fe80::1", "in brackets"),
        ("redis://:s3cret@[::1", "closing bracket"),
        ("redis://:s3cret@[::1]6379", "behind the brackets"),
        ("redis://:s3cret@[host]", "no IPv6 address"),
        ("redis://s3cret@host", "a user without a password"),
        ("redis://:s3cret%@host", "`%25`"),
        ("redis://:s3cret/1@host", "%2F"),
        ("redis://ann:1?s3cret@host", "%3F"),
        ("redis://host?s3cret=1", "not known"),
        ("redis://host?protocol=resp3", "not known"),
        ("rediss://host?insecure=s3cret", "not known"),
        ("redis://host?ca=/s3cret", "rediss:// only"),
        ("rediss://host?ca=", "wants one value"),
        ("rediss://host?ca=/s3cret&ca=/b", "wants one value"),
        ("rediss://host?cert=/s3cret", "go together"),
        ("redis://host?sentinel_password=s3cret", "redis+sentinel:// only"),
        ("redis+sentinel://:s3cret@a,b", "does not name the master"),
        ("redis+sentinel://:s3cret@a,b/", "does not name the master"),
        ("redis+sentinel://:s3cret@a,,b/m", "a comma too many"),
        ("redis+sentinel://:s3cret@a/m/x", "no number of a database"),
        ("redis+sentinel://:s3cret@a/m/1/2", "more parts"),
        ("redis+sentinel://:s3cret@a/my%20master", "a blank"),
        ("redis+sentinel://a/m?sentinel_user=s3cret", "without a sentinel_password"),
        ("redis+cluster://:s3cret@a,b/3", "names a database"),
    ];
    for (url, part) in mistakes {
        let text = Target::parse(url).unwrap_err().to_string();
        assert!(text.contains(part) && text.contains("; write redis"), "{url}: {text}");
        assert!(!text.contains("s3cret") && !text.contains('\n'), "{url}: {text}");
    }
}

#[test]
fn the_advice_is_for_what_was_meant() {
    let advice = |url: &str| Target::parse(url).unwrap_err().to_string();
    assert!(advice("redis://").contains("write redis://[[user]:password@]host"));
    assert!(advice("redis+sentinel://a").contains("write redis+sentinel://"));
    assert!(advice("rediss+cluster://a/1").contains("write redis+cluster://"));
}

#[test]
fn printing_a_target_hides_the_credentials() {
    for url in [
        "rediss://ann:s3cret@host:1/2",
        "redis+sentinel://ann:s3cret@a/m?sentinel_password=s3cret&sentinel_user=ann",
        "redis+cluster://ann:s3cret@a,b",
    ] {
        let target = parse(url);
        let printed = format!("{target} {target:?}");
        assert!(!printed.contains("s3cret") && !printed.contains("ann"), "{printed}");
    }
}
