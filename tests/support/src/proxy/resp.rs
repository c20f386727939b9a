//! Reads the commands out of what a Redis client sends. Pure: bytes in, names out.

/// Longest line we keep while it is incomplete; what is longer is no RESP.
const LONGEST_LINE: usize = 64 * 1024;

/// An incremental reader of RESP requests: arrays of bulk strings, or inline commands.
#[derive(Debug, Default)]
pub(super) struct Requests {
    state: State,
    line: Vec<u8>,
    name: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Start,
    /// Before the length line of an argument.
    Length { left: u64, is_name: bool },
    /// Within an argument; `bytes` counts the closing line break too.
    Argument { left: u64, bytes: u64, is_name: bool },
}

impl Requests {
    /// Takes the next bytes of the connection, cut anywhere, and calls `command` with the upper-case name of each complete command.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut command: impl FnMut(&str)) {
        while !bytes.is_empty() {
            if let State::Argument { left, bytes: open, is_name } = self.state {
                let part = usize::try_from(open).unwrap_or(usize::MAX).min(bytes.len());
                if is_name {
                    self.name.extend(&bytes[..part]);
                }
                bytes = &bytes[part..];
                self.state = State::Argument { left, bytes: open - part as u64, is_name };
                if open == part as u64 {
                    self.after_argument(left, &mut command);
                }
                continue;
            }
            let end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| at + 1);
            self.line.extend(&bytes[..end]);
            bytes = &bytes[end..];
            if self.line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.line_ended(line.trim_ascii(), &mut command);
            } else if self.line.len() > LONGEST_LINE {
                self.line.clear();
            }
        }
    }

    fn line_ended(&mut self, line: &[u8], command: &mut impl FnMut(&str)) {
        match (self.state, line) {
            (State::Start, [b'*', count @ ..]) => match number(count) {
                Some(count) if count > 0 => self.state = State::Length { left: count, is_name: true },
                _ => self.state = State::Start,
            },
            (State::Start, inline) => {
                if let Some(name) = inline.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()) {
                    command(&upper(name));
                }
            }
            (State::Length { left, is_name }, [b'$', length @ ..]) => {
                self.state = match number(length) {
                    Some(length) => State::Argument { left, bytes: length + 2, is_name },
                    None => State::Start,
                };
            }
            // Not RESP: begin anew at the next line.
            _ => self.state = State::Start,
        }
    }

    fn after_argument(&mut self, left: u64, command: &mut impl FnMut(&str)) {
        if left > 1 {
            self.state = State::Length { left: left - 1, is_name: false };
            return;
        }
        self.state = State::Start;
        let name = std::mem::take(&mut self.name);
        command(&upper(name.trim_ascii()));
    }
}

fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}

fn upper(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(chunks: &[&[u8]]) -> Vec<String> {
        let mut requests = Requests::default();
        let mut names = Vec::new();
        for chunk in chunks {
            requests.feed(chunk, |name| names.push(name.to_owned()));
        }
        names
    }

    const TWO: &[u8] = b"*3\r\n$4\r\nhget\r\n$1\r\nk\r\n$6\r\n*1\r\n$1\r\n*1\r\n$4\r\nPING\r\n";

    #[test]
    fn a_pipeline_is_as_many_commands_as_it_holds() {
        assert_eq!(names(&[TWO]), ["HGET", "PING"]);
    }

    #[test]
    fn the_cut_between_packets_does_not_matter() {
        for cut in 0..=TWO.len() {
            assert_eq!(names(&[&TWO[..cut], &TWO[cut..]]), ["HGET", "PING"], "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = TWO.chunks(1).collect();
        assert_eq!(names(&bytes), ["HGET", "PING"]);
    }

    #[test]
    fn a_command_counts_once_its_last_byte_came() {
        assert!(names(&[&TWO[..TWO.len() - 15]]).is_empty());
    }

    #[test]
    fn an_inline_command_counts() {
        assert_eq!(names(&[b"ping\r\n\r\nset a b\r\n"]), ["PING", "SET"]);
    }

    #[test]
    fn an_empty_argument_and_an_empty_array_are_no_trouble() {
        assert_eq!(names(&[b"*0\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$4\r\nQUIT\r\n"]), ["GET", "QUIT"]);
    }
}
