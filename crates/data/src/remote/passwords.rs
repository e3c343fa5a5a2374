//! The file of passwords of PostgreSQL (<https://www.postgresql.org/docs/current/libpq-pgpass.html>): a line for each, as
//! `host:port:database:user:password`, where `*` stands for anything and `\` before `:` and `\`.

/// Whom a password is for.
pub(super) struct Login<'a> {
    pub host: &'a str,
    pub port: u16,
    pub database: &'a str,
    pub user: &'a str,
}

/// The first password in the file that fits.
pub(super) fn find(file: &str, login: &Login<'_>) -> Option<String> {
    let port = login.port.to_string();
    let wanted = [login.host, &port, login.database, login.user];
    file.lines().filter(|line| !line.starts_with('#')).map(fields).find_map(|mut fields| {
        let password = fields.get(4).is_some().then(|| fields.split_off(4).join(":"))?;
        let fits = fields.iter().zip(wanted).all(|(said, wanted)| said == "*" || said == wanted);
        (fits && !password.is_empty()).then_some(password)
    })
}

/// What stands between colons.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut letters) = (vec![String::new()], line.trim_end_matches('\r').chars());
    while let Some(letter) = letters.next() {
        let field = fields.last_mut().expect("there is a field from the beginning");
        match letter {
            '\\' => field.extend(letters.next()),
            ':' => fields.push(String::new()),
            letter => field.push(letter),
        }
    }
    fields
}
