//! Percent-encoding in the parts of a URL. Pure. Refuses half an escape, and what is no UTF-8.

/// The text of a part; `name` says whose part in the error, which never holds the part itself.
pub(super) fn decode(part: &str, name: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(format!(
                "its {name} holds a `%` without two hexadecimal digits behind it, and a percent sign itself is `%25`"
            ));
        };
        bytes.extend(u8::try_from(high * 16 + low));
    }
    String::from_utf8(bytes).map_err(|_| format!("its {name} is no UTF-8 when it is decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_bytes_of_utf_8() {
        assert_eq!(decode("a%23%40%C3%a9+", "password").unwrap(), "a#@é+");
        for broken in ["s3cret%", "s3cret%4", "s3cret%4g", "s3cret%ff"] {
            let why = decode(broken, "password").unwrap_err();
            assert!(why.contains("password") && !why.contains("s3cret"), "{why}");
        }
    }
}
