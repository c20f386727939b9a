//! Asks a Redis server one question at a time, blocking. Refuses to reconnect, and to wait for longer than a test would.

use std::{
    io::{BufRead, BufReader, Error, ErrorKind, Result, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Text(String),
    Number(i64),
    Nothing,
    List(Vec<Reply>),
}

impl Reply {
    pub(crate) fn text(&self) -> Result<&str> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(strange(&format!("{self:?}"))),
        }
    }

    pub(crate) fn number(&self) -> Result<i64> {
        match self {
            Self::Number(number) => Ok(*number),
            _ => Err(strange(&format!("{self:?}"))),
        }
    }

    pub(crate) fn list(&self) -> Result<&[Reply]> {
        match self {
            Self::List(list) => Ok(list),
            _ => Err(strange(&format!("{self:?}"))),
        }
    }
}

fn strange(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("an answer nobody expected: {what}"))
}

/// Connects, asks and closes. An error reply is an error.
pub(crate) fn ask(address: SocketAddr, words: &[&str]) -> Result<Reply> {
    ask_within(PATIENCE, address, words)
}

/// The same of a server that may be paused.
pub(crate) fn ask_within(patience: Duration, address: SocketAddr, words: &[&str]) -> Result<Reply> {
    ask_in_turn(patience, address, &[words])
}

/// The same about a slot that the server is importing.
pub(crate) fn ask_importing(address: SocketAddr, words: &[&str]) -> Result<Reply> {
    ask_in_turn(PATIENCE, address, &[&["ASKING"], words])
}

/// Asks on one connection; the last answer counts.
fn ask_in_turn(patience: Duration, address: SocketAddr, questions: &[&[&str]]) -> Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut from = BufReader::new(stream.try_clone()?);
    let mut answer = Reply::Nothing;
    for words in questions {
        stream.write_all(&question(words))?;
        answer = read(&mut from)?;
    }
    Ok(answer)
}

fn question(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    bytes
}

fn read(from: &mut impl BufRead) -> Result<Reply> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let line = line.trim_end();
    let sign = line.chars().next().ok_or(ErrorKind::UnexpectedEof)?;
    let rest = &line[sign.len_utf8()..];
    let number = || rest.parse::<i64>().map_err(|_| strange(line));
    match sign {
        '+' => Ok(Reply::Text(rest.to_owned())),
        '-' => Err(Error::other(rest.to_owned())),
        ':' => Ok(Reply::Number(number()?)),
        '$' | '*' => match (sign, usize::try_from(number()?)) {
            (_, Err(_)) => Ok(Reply::Nothing),
            ('$', Ok(length)) => {
                let mut bytes = vec![0; length + 2];
                from.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
            }
            (_, Ok(length)) => (0..length).map(|_| read(from)).collect::<Result<_>>().map(Reply::List),
        },
        _ => Err(strange(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_they_were_meant() {
        let all = b"*5\r\n+OK\r\n:-3\r\n$2\r\nab\r\n$-1\r\n*1\r\n$0\r\n\r\n-ERR no\r\n";
        let mut from = BufReader::new(&all[..]);
        let list = [
            Reply::Text("OK".into()),
            Reply::Number(-3),
            Reply::Text("ab".into()),
            Reply::Nothing,
            Reply::List(vec![Reply::Text(String::new())]),
        ];
        assert_eq!(read(&mut from).unwrap(), Reply::List(list.into()));
        assert_eq!(read(&mut from).unwrap_err().to_string(), "ERR no");
        assert!(read(&mut from).is_err(), "the end");
    }

    #[test]
    fn a_question_is_a_list_of_words() {
        assert_eq!(question(&["GET", "é"]), "*2\r\n$3\r\nGET\r\n$2\r\né\r\n".as_bytes());
    }
}
