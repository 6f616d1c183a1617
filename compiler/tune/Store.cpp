//===- Store.cpp - What has been measured, kept between runs --------------===//

#include "compiler/tune/Store.h"
#include "compiler/codegen/Cache.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

namespace halcyon {

/// Marks the file as ours ("Halc"), and the form of its table.
static const int kApplication = 0x48616c63, kFormat = 1;

static const char *const kTable = R"(
create table if not exists measurements (
  kernel text not null, schedule text not null,
  target text not null, version text not null, machine text not null,
  outcome integer not null, reason text not null,
  seconds real not null, relative real not null, spread real not null,
  samples integer not null, features text not null, time real not null,
  primary key (kernel, schedule, target, version, machine)) without rowid;
)";

static const char *const kColumns =
    "kernel, schedule, outcome, reason, seconds, relative, spread, samples, "
    "features";

llvm::StringRef outcomeText(Outcome outcome) {
  switch (outcome) {
  case Outcome::Timed:
    return "timed";
  case Outcome::Crashed:
    return "crashed";
  case Outcome::TimedOut:
    return "took too long";
  case Outcome::WrongValues:
    return "wrong values";
  case Outcome::NotCompiled:
    return "not compiled";
  }
  return "";
}

namespace {
/// A statement with its values bound.
class Statement {
public:
  Statement(sqlite3 *database, const std::string &sql) {
    status = sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement); }
  Statement(const Statement &) = delete;

  Statement &bind(llvm::StringRef text) {
    if (status == SQLITE_OK)
      status = sqlite3_bind_text(statement, ++bound, text.data(),
                                 (int)text.size(), SQLITE_TRANSIENT);
    return *this;
  }
  Statement &bind(double number) {
    if (status == SQLITE_OK)
      status = sqlite3_bind_double(statement, ++bound, number);
    return *this;
  }
  Statement &bind(int number) {
    if (status == SQLITE_OK)
      status = sqlite3_bind_int(statement, ++bound, number);
    return *this;
  }
  /// True for a row.
  bool step() {
    if (status == SQLITE_OK || status == SQLITE_ROW)
      status = sqlite3_step(statement);
    return status == SQLITE_ROW;
  }
  bool done() const { return status == SQLITE_DONE; }
  std::string text(int column) {
    auto *bytes = sqlite3_column_text(statement, column);
    return bytes ? std::string(reinterpret_cast<const char *>(bytes),
                               sqlite3_column_bytes(statement, column))
                 : std::string();
  }
  double real(int column) { return sqlite3_column_double(statement, column); }
  int integer(int column) { return sqlite3_column_int(statement, column); }

private:
  sqlite3_stmt *statement = nullptr;
  int status = SQLITE_OK, bound = 0;
};
} // namespace

std::string Store::defaultPath() { return cacheFolder() + "/tune.db"; }

std::unique_ptr<Store> Store::open(const std::string &path,
                                   const StoreScope &scope,
                                   std::string &error) {
  std::unique_ptr<Store> store(new Store(path, scope));
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (sqlite3_open_v2(path.c_str(), &store->database, flags, nullptr) !=
      SQLITE_OK)
    store->failed("can't open");
  else
    store->prepareTables();
  error = store->message;
  return error.empty() ? std::move(store) : nullptr;
}

Store::~Store() { sqlite3_close(database); }

/// Makes `message` one line that says what can be done.
bool Store::failed(const std::string &what) {
  int code = sqlite3_errcode(database) & 0xff;
  message = "the store of measurements " + path;
  if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
    message += " is damaged (" + std::string(sqlite3_errmsg(database)) +
               "): remove it, or name another with --store";
  else
    message += ": " + what + ": " + sqlite3_errmsg(database);
  return false;
}

bool Store::run(const std::string &sql) {
  return sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) ==
             SQLITE_OK ||
         failed("can't be used");
}

bool Store::prepareTables() {
  // Others may be writing.
  sqlite3_busy_timeout(database, 20000);
  // Whoever is killed loses nothing that was written; only a power cut may cost
  // the last measurements.
  if (!run("pragma journal_mode = wal; pragma synchronous = normal;"))
    return false;
  int tables = 0;
  {
    Statement count(database, "select count(*) from sqlite_master");
    if (!count.step())
      return failed("can't be read");
    tables = count.integer(0);
  }
  if (tables == 0 && !run("begin immediate;" + std::string(kTable) +
                          "pragma application_id = " +
                          std::to_string(kApplication) +
                          "; pragma user_version = " + std::to_string(kFormat) +
                          "; commit;"))
    return false;
  return isStore("main", path);
}

/// Whether an attached database is a store that this compiler reads.
bool Store::isStore(const std::string &schema, const std::string &file) {
  auto number = [&](const std::string &name) {
    Statement read(database, "pragma " + schema + "." + name);
    return read.step() ? read.integer(0) : -1;
  };
  int application = number("application_id"), format = number("user_version");
  if (application < 0)
    return failed("can't be read");
  if (application != kApplication) {
    message = file + " is a database, but no store of measurements";
    return false;
  }
  if (format != kFormat) {
    message = "the store of measurements " + file + " has format " +
              std::to_string(format) + ", and this compiler reads " +
              std::to_string(kFormat);
    return false;
  }
  Statement check(database, "select " + std::string(kColumns) + " from " +
                                schema + ".measurements limit 1");
  check.step();
  return sqlite3_errcode(database) == SQLITE_ROW ||
         sqlite3_errcode(database) == SQLITE_DONE || failed("can't be read");
}

bool Store::put(const Measurement &m) {
  Statement insert(database,
                   "insert or replace into measurements (kernel, schedule, "
                   "target, version, machine, outcome, reason, seconds, "
                   "relative, spread, samples, features, time) values (?, ?, "
                   "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, julianday('now'))");
  insert.bind(m.kernel)
      .bind(m.schedule)
      .bind(scope.target)
      .bind(scope.version)
      .bind(scope.machine)
      .bind((int)m.outcome)
      .bind(m.reason)
      .bind(m.seconds)
      .bind(m.relative)
      .bind(m.spread)
      .bind(m.samples)
      .bind(m.features)
      .step();
  return insert.done() || failed("can't be written");
}

std::vector<Measurement> Store::select(const std::string &where,
                                       const std::vector<std::string> &values) {
  Statement query(database, "select " + std::string(kColumns) +
                                " from measurements where " + where);
  for (const std::string &value : values)
    query.bind(value);
  std::vector<Measurement> found;
  while (query.step()) {
    Measurement m;
    m.kernel = query.text(0), m.schedule = query.text(1);
    m.outcome = (Outcome)query.integer(2), m.reason = query.text(3);
    m.seconds = query.real(4), m.relative = query.real(5);
    m.spread = query.real(6), m.samples = query.integer(7);
    m.features = query.text(8);
    found.push_back(std::move(m));
  }
  if (!query.done())
    failed("can't be read");
  return found;
}

std::optional<Measurement> Store::find(llvm::StringRef kernel,
                                       llvm::StringRef schedule) {
  auto found = select("kernel = ? and schedule = ? and target = ? and "
                      "version = ? and machine = ?",
                      {kernel.str(), schedule.str(), scope.target,
                       scope.version, scope.machine});
  if (found.empty())
    return std::nullopt;
  return found.front();
}

std::vector<Measurement> Store::ofKernel(llvm::StringRef kernel) {
  return select("kernel = ? and target = ? and version = ? and machine = ? "
                "order by schedule",
                {kernel.str(), scope.target, scope.version, scope.machine});
}

std::vector<Measurement> Store::all() {
  return select("outcome = 0 and target = ? and version = ? and machine = ? "
                "order by kernel, schedule",
                {scope.target, scope.version, scope.machine});
}

std::vector<std::string> Store::elsewhere(llvm::StringRef kernel) {
  std::vector<std::string> schedules;
  for (Measurement &m :
       select("kernel = ? and outcome = 0 and target = ? and version = ? and "
              "machine <> ? order by relative, schedule limit 8",
              {kernel.str(), scope.target, scope.version, scope.machine}))
    schedules.push_back(std::move(m.schedule));
  return schedules;
}

int Store::size() {
  Statement count(database, "select count(*) from measurements");
  return count.step() ? count.integer(0) : 0;
}

bool Store::exportTo(const std::string &to) {
  if (isSpecialFile(to)) {
    message = "can't write " + to + ": a database needs a file";
    return false;
  }
  std::string temporary = to + ".tmp" + std::to_string(getpid());
  unlink(temporary.c_str());
  Statement vacuum(database, "vacuum into ?");
  vacuum.bind(temporary).step();
  bool good = vacuum.done() || failed("can't be written to " + to);
  if (good && rename(temporary.c_str(), to.c_str()) != 0) {
    message = "can't write " + to + ": " + strerror(errno);
    good = false;
  }
  if (!good)
    unlink(temporary.c_str());
  return good;
}

std::optional<int> Store::importFrom(const std::string &from) {
  struct stat status;
  if (stat(from.c_str(), &status) != 0) {
    message = "can't read " + from + ": " + strerror(errno);
    return std::nullopt;
  }
  {
    Statement attach(database, "attach ? as other");
    attach.bind(from).step();
    if (!attach.done()) {
      message = "can't read " + from + ": " + sqlite3_errmsg(database);
      return std::nullopt;
    }
  }
  message.clear();
  int before = sqlite3_total_changes(database);
  bool good =
      isStore("other", from) &&
      run("insert into main.measurements select * from "
                  "other.measurements where true on conflict do update set "
                  "outcome = excluded.outcome, reason = excluded.reason, "
                  "seconds = excluded.seconds, relative = excluded.relative, "
                  "spread = excluded.spread, samples = excluded.samples, "
                  "features = excluded.features, time = excluded.time "
                  "where excluded.time > time");
  int changed = sqlite3_total_changes(database) - before;
  std::string reason = message;
  run("detach other");
  message = reason;
  if (!good)
    return std::nullopt;
  return changed;
}

} // namespace halcyon
