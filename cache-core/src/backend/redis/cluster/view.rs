//! What one node tells about the cluster: who serves which slots since when. Pure. Refuses a table it cannot read: half of one
//! would take the other half for unserved.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use redis::Value;

use super::super::address::Endpoint;
use super::super::error::Refusal;
use super::slot::SLOTS;

/// The claims of one node's tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View(pub(super) Vec<Claim>);

/// That a master serves these slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) slots: RangeInclusive<u16>,
    /// The name it keeps for life.
    pub(super) id: String,
    pub(super) endpoint: Endpoint,
    /// Of two claims on a slot the one with the greater number is the newer; the nodes go by the same rule.
    pub(super) epoch: u64,
}

impl View {
    /// Reads the answers to CLUSTER NODES and CLUSTER SLOTS. `asked` is where they came from: a node that does not know how
    /// others reach it leaves its host out. (CLUSTER SHARDS would tell no more, and 6.2 does not have it.)
    pub(super) fn read(nodes: &str, slots: &Value, asked: &Endpoint) -> Result<Self, Refusal> {
        let unreadable = || Refusal::Unusable("its answer to CLUSTER SLOTS is not what Redis says".into());
        let epochs = epochs(nodes);
        let Value::Array(ranges) = slots else { return Err(unreadable()) };
        let claims = ranges.iter().map(|range| claim(range, &epochs, asked).ok_or_else(unreadable));
        // A node that imports a slot keeps its table of that slot to itself: it may name a master that is a replica now.
        let claims = claims.filter_map(Result::transpose);
        claims.collect::<Result<_, _>>().map(Self)
    }
}

/// The configuration epoch of each master: the seventh word of its line.
fn epochs(nodes: &str) -> HashMap<&str, u64> {
    fn pair(line: &str) -> Option<(&str, u64)> {
        let mut words = line.split_ascii_whitespace();
        let (id, flags) = (words.next()?, words.nth(1)?);
        let is_master = flags.split(',').any(|flag| flag == "master");
        Some((id, words.nth(3)?.parse().ok()?)).filter(|_| is_master)
    }
    nodes.lines().filter_map(pair).collect()
}

/// `None` for what cannot be read, `Some(None)` for a claim of no master.
fn claim(range: &Value, epochs: &HashMap<&str, u64>, asked: &Endpoint) -> Option<Option<Claim>> {
    let Value::Array(parts) = range else { return None };
    let [first, last, Value::Array(master), ..] = parts.as_slice() else { return None };
    let [host, port, id, more @ ..] = master.as_slice() else { return None };
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let (first, last) = (number(first)?, number(last).filter(|last| *last < SLOTS)?);
    let id = text(id)?.to_owned();
    let host = match (host, text(host)) {
        (Value::Nil, _) | (_, Some("")) => asked.host.clone(),
        // Nodes are to be reached by names, and this one has none.
        (_, Some("?")) => address_in(more)?,
        (_, host) => host?.to_owned(),
    };
    let endpoint = Endpoint { host, port: number(port)? };
    let epoch = epochs.get(id.as_str()).copied();
    Some(epoch.map(|epoch| Claim { slots: first..=last, endpoint, id, epoch }))
}

/// The value behind `ip` in what newer servers add.
fn address_in(more: &[Value]) -> Option<String> {
    let [Value::Array(words), ..] = more else { return None };
    let pair = words.chunks_exact(2).find(|pair| text(&pair[0]) == Some("ip"))?;
    text(&pair[1]).map(str::to_owned)
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: &str = "aaaa 10.0.0.1:6379@16379,one.example myself,master - 0 0 7 connected 0-100 [93->-bbbb]\n\
                         bbbb 10.0.0.2:6379@16379 master - 0 1700000000 12 connected 101-16383\n";

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn range(first: i64, last: i64, node: Vec<Value>) -> Value {
        Value::Array(vec![Value::Int(first), Value::Int(last), Value::Array(node)])
    }

    fn asked() -> Endpoint {
        Endpoint { host: "asked".into(), port: 1 }
    }

    fn host_of(host: Value, more: &[Value]) -> Result<String, Refusal> {
        let node = [host, Value::Int(6379), bulk("aaaa")].into_iter().chain(more.iter().cloned()).collect();
        let view = View::read(NODES, &Value::Array(vec![range(0, 1, node)]), &asked())?;
        Ok(view.0[0].endpoint.host.clone())
    }

    #[test]
    fn ranges_are_claimed_at_the_epoch_of_their_master() {
        let slots = Value::Array(vec![
            range(0, 100, vec![bulk("10.0.0.1"), Value::Int(6379), bulk("aaaa")]),
            range(101, 16383, vec![bulk("10.0.0.2"), Value::Int(6380), bulk("bbbb"), Value::Array(vec![])]),
        ]);
        let view = View::read(NODES, &slots, &asked()).unwrap();
        let told: Vec<_> = view
            .0
            .iter()
            .map(|claim| (claim.slots.clone(), claim.endpoint.to_string(), claim.epoch))
            .collect();
        assert_eq!(told, [(0..=100, "10.0.0.1:6379".into(), 7), (101..=16383, "10.0.0.2:6380".into(), 12)]);
    }

    #[test]
    fn a_replica_claims_nothing() {
        let nodes = NODES.replace("bbbb 10.0.0.2:6379@16379 master -", "bbbb 10.0.0.2:6379@16379 slave cccc");
        let range = |id| range(0, 9, vec![bulk("10.0.0.1"), Value::Int(6379), bulk(id)]);
        let slots = Value::Array(vec![range("aaaa"), range("bbbb"), range("unknown")]);
        let view = View::read(&nodes, &slots, &asked()).unwrap();
        assert_eq!(view.0.iter().map(|claim| claim.id.as_str()).collect::<Vec<_>>(), ["aaaa"]);
    }

    #[test]
    fn a_host_that_is_left_out_is_the_one_that_was_asked() {
        assert_eq!(host_of(bulk("one.example"), &[]).unwrap(), "one.example");
        assert_eq!(host_of(bulk(""), &[]).unwrap(), "asked");
        assert_eq!(host_of(Value::Nil, &[]).unwrap(), "asked");
        let more = [Value::Array(vec![bulk("hostname"), bulk(""), bulk("ip"), bulk("10.0.0.1")])];
        assert_eq!(host_of(bulk("?"), &more).unwrap(), "10.0.0.1");
    }

    #[test]
    fn a_table_that_cannot_be_read_is_none() {
        assert!(host_of(bulk("?"), &[]).is_err());
        assert!(host_of(Value::Int(1), &[]).is_err());
        for slots in [Value::Nil, Value::Array(vec![Value::Nil]), Value::Array(vec![range(0, 16384, vec![])])]
        {
            assert!(View::read(NODES, &slots, &asked()).is_err(), "{slots:?}");
        }
    }
}
