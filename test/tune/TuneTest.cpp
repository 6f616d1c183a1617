//===- TuneTest.cpp - The parts of the tuner ------------------------------===//
//
//   halcyon-tune-test [--all] [NAME ...]
//
// Prints the failures, then "N passed, N failed".
//
//===----------------------------------------------------------------------===//

#include "compiler/passes/Passes.h"
#include "compiler/tune/Tuner.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <random>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace halcyon;

static int failures;
#define EXPECT(condition)                                                      \
  do {                                                                         \
    if (!(condition)) {                                                        \
      printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);           \
      ++failures;                                                              \
    }                                                                          \
  } while (false)

/// Where tests may write.
static std::string folder;

static const StoreScope kHere = {"avx512, 2 threads", "1", "this machine"};

static std::unique_ptr<Store> openStore(const std::string &name,
                                        StoreScope scope = kHere) {
  std::string error;
  auto store = Store::open(folder + "/" + name, scope, error);
  if (!store)
    printf("%s\n", error.c_str());
  return store;
}

static Measurement timed(std::string kernel, std::string schedule,
                         double relative) {
  Measurement m;
  m.kernel = std::move(kernel);
  m.schedule = std::move(schedule);
  m.seconds = relative * 1e-3;
  m.relative = relative;
  m.spread = 0.01;
  m.samples = 40;
  m.features = "estimate=-7.000000 tile=3.000000";
  return m;
}

//===----------------------------------------------------------------------===//
// The store
//===----------------------------------------------------------------------===//

static void storeKeeps() {
  {
    auto store = openStore("keeps.db");
    EXPECT(store->put(timed("k", "direct", 1)));
    EXPECT(store->put(timed("k", "winograd(4)", 0.5)));
    EXPECT(store->put(timed("other", "direct", 1)));
    Measurement bad;
    bad.kernel = "k";
    bad.schedule = "im2col";
    bad.outcome = Outcome::Crashed;
    bad.reason = "Segmentation fault, with 'quotes' and \"others\"";
    EXPECT(store->put(bad));
    EXPECT(store->put(timed("k", "direct", 1.25))); // replaces
  }
  auto store = openStore("keeps.db");
  EXPECT(store->size() == 4);
  auto direct = store->find("k", "direct");
  EXPECT(direct && direct->relative == 1.25 && direct->seconds == 1.25e-3 &&
         direct->spread == 0.01 && direct->samples == 40 &&
         direct->features == "estimate=-7.000000 tile=3.000000");
  auto crashed = store->find("k", "im2col");
  EXPECT(crashed && crashed->outcome == Outcome::Crashed &&
         crashed->reason == "Segmentation fault, with 'quotes' and \"others\"");
  EXPECT(!store->find("k", "pointwise"));
  EXPECT(store->ofKernel("k").size() == 3);
  EXPECT(store->all().size() == 3); // without the failure
}

static void storeKeepsScopesApart() {
  openStore("scopes.db")->put(timed("k", "direct", 1));
  for (StoreScope scope : {StoreScope{"avx2, 2 threads", "1", "this machine"},
                           StoreScope{"avx512, 2 threads", "2", "this machine"},
                           StoreScope{"avx512, 2 threads", "1", "another"}}) {
    auto store = openStore("scopes.db", scope);
    EXPECT(!store->find("k", "direct"));
    EXPECT(store->all().empty());
    EXPECT(store->put(timed("k", "direct", 0.5)));
  }
  auto store = openStore("scopes.db");
  EXPECT(store->size() == 4);
  EXPECT(store->find("k", "direct")->relative == 1);
  // What another machine of this target found is worth trying.
  EXPECT(store->elsewhere("k") == std::vector<std::string>{"direct"});
}

static void storeMerges() {
  auto ours = openStore("ours.db");
  ours->put(timed("k", "a", 1));
  ours->put(timed("k", "b", 2));
  {
    auto theirs = openStore("theirs.db");
    theirs->put(timed("k", "c", 3));
    usleep(20000);
    theirs->put(timed("k", "b", 4)); // later than ours
    usleep(20000);
    EXPECT(theirs->exportTo(folder + "/exported.db"));
  }
  ours->put(timed("k", "c", 5)); // later than theirs
  auto taken = ours->importFrom(folder + "/exported.db");
  EXPECT(taken && *taken == 1);
  EXPECT(ours->size() == 3);
  EXPECT(ours->find("k", "a")->relative == 1);
  EXPECT(ours->find("k", "b")->relative == 4);
  EXPECT(ours->find("k", "c")->relative == 5);
  // Again nothing is new.
  taken = ours->importFrom(folder + "/exported.db");
  EXPECT(taken && *taken == 0);
  EXPECT(!ours->importFrom(folder + "/nowhere.db"));
  EXPECT(llvm::StringRef(ours->error()).contains("nowhere.db: No such file"));
}

/// Opens a file with this content as a store; what is wrong with it.
static std::string trouble(const std::string &name, llvm::StringRef content) {
  std::string path = folder + "/" + name, error;
  std::ofstream(path) << content.str();
  if (Store::open(path, kHere, error))
    return "";
  EXPECT(llvm::StringRef(error).contains(name));
  EXPECT(error.find('\n') == std::string::npos);
  EXPECT(!openStore("imports.db")->importFrom(path));
  return error;
}

static void storeSaysWhatIsWrong() {
  EXPECT(llvm::StringRef(trouble("garbage.db", std::string(5000, 'x')))
             .contains("is damaged"));
  // A store that was cut short, and one with a broken page.
  {
    auto store = openStore("whole.db");
    for (int i = 0; i < 300; ++i)
      store->put(timed("kernel " + std::to_string(i), std::string(100, 's'), 1));
    store->exportTo(folder + "/complete.db");
  }
  std::ifstream file(folder + "/complete.db");
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  EXPECT(bytes.size() > 20000);
  std::string broken = bytes;
  for (size_t i = 4096; i < broken.size(); ++i)
    broken[i] = 'x';
  EXPECT(llvm::StringRef(trouble("broken.db", broken)).contains("is damaged"));

  sqlite3 *other;
  sqlite3_open((folder + "/other.db").c_str(), &other);
  sqlite3_exec(other, "create table t (x)", nullptr, nullptr, nullptr);
  sqlite3_close(other);
  std::string error;
  EXPECT(!Store::open(folder + "/other.db", kHere, error));
  EXPECT(llvm::StringRef(error).contains("no store of measurements"));
  EXPECT(!Store::open(folder + "/no/such/folder.db", kHere, error));
  EXPECT(llvm::StringRef(error).contains("can't open"));
}

/// A process that writes until it is killed; what it said to have written is
/// there, with a second process writing beside it.
static void storeSurvivesKill() {
  for (int round = 0; round < 5; ++round) {
    std::string name = "killed" + std::to_string(round) + ".db";
    openStore(name);
    int ends[2];
    EXPECT(pipe(ends) == 0);
    pid_t writers[2];
    for (int w = 0; w < 2; ++w) {
      writers[w] = fork();
      if (writers[w] == 0) {
        std::string error;
        auto store = Store::open(folder + "/" + name, kHere, error);
        for (int i = 0; store && i < 100000; ++i) {
          if (!store->put(timed("writer " + std::to_string(w), std::to_string(i), 1)))
            _exit(1);
          int said[2] = {w, i};
          if (write(ends[1], said, sizeof said) != sizeof said)
            _exit(1);
        }
        _exit(1);
      }
    }
    close(ends[1]); // reading ends with the writers
    int last[2] = {-1, -1}, said[2];
    while ((last[0] < 10 * round || last[1] < 10 * round) &&
           read(ends[0], said, sizeof said) == sizeof said)
      last[said[0]] = said[1];
    for (pid_t writer : writers)
      kill(writer, SIGKILL);
    for (pid_t writer : writers) {
      int status;
      waitpid(writer, &status, 0);
      EXPECT(WIFSIGNALED(status));
    }
    while (read(ends[0], said, sizeof said) == sizeof said)
      last[said[0]] = said[1];
    close(ends[0]);
    auto store = openStore(name);
    EXPECT(store);
    for (int w = 0; w < 2; ++w) {
      EXPECT(last[w] >= 0);
      int there = (int)store->ofKernel("writer " + std::to_string(w)).size();
      EXPECT(there == last[w] + 1 || there == last[w] + 2);
    }
  }
}

//===----------------------------------------------------------------------===//
// Comparisons
//===----------------------------------------------------------------------===//

/// Pairs with disturbances common to both sides, and rare large ones of one.
static Comparison compareNoisy(double ratio, unsigned seed, int &taken) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::normal_distribution<double> normal(0, 0.02);
  taken = 0;
  return compareUntilSure(CompareLimits(), [&](int count,
                                               std::vector<TimePair> &pairs) {
    for (int i = 0; i < count; ++i, ++taken) {
      double both = 1e-4 * (1 + 2 * uniform(random));
      TimePair pair{both * std::exp(normal(random)),
                    both * ratio * std::exp(normal(random))};
      if (uniform(random) < 0.1)
        (uniform(random) < 0.5 ? pair.first : pair.second) *= 5;
      pairs.push_back(pair);
    }
    return true;
  });
}

static void comparisonsAreSure() {
  int taken, wrong = 0, undecided = 0, far = 0;
  for (unsigned seed = 0; seed < 200; ++seed) {
    Comparison equal = compareNoisy(1, seed, taken);
    wrong += equal.surelyFaster() && equal.high < 0.995;
    Comparison faster = compareNoisy(0.9, seed, taken);
    wrong += faster.surelySlower();
    undecided += !faster.surelyFaster();
    far += std::abs(faster.ratio - 0.9) > 0.02;
    Comparison slower = compareNoisy(1.1, seed, taken);
    wrong += slower.surelyFaster();
    undecided += !slower.surelySlower();
    compareNoisy(3, seed, taken);
    EXPECT(taken <= 35); // so much slower that few pairs are enough
  }
  EXPECT(wrong <= 2);
  EXPECT(undecided <= 2);
  EXPECT(far <= 2);
}

static void comparisonsEnd() {
  int calls = 0;
  CompareLimits limits;
  limits.seconds = 1;
  Comparison c = compareUntilSure(limits, [&](int count, std::vector<TimePair> &pairs) {
    ++calls;
    for (int i = 0; i < count; ++i)
      pairs.push_back({0.1, i % 2 ? 0.09 : 0.11});
    return true;
  });
  EXPECT(calls < 4 && c.pairs < 20);
  c = compareUntilSure(limits, [](int, std::vector<TimePair> &) { return false; });
  EXPECT(c.pairs == 0 && !c.surelyFaster());
  EXPECT(!compareTimes({{1, 0.5}, {1, 0.5}}).surelyFaster()); // too few
}

/// Another program, which slows the first side down whenever it comes: what it
/// leaves alone decides, and where it leaves nothing alone nothing is sure.
static void disturbedPairsDontCount() {
  auto compare = [](int quietOf, double quietRatio) {
    int number = 0;
    return compareUntilSure(CompareLimits(), [&](int count,
                                                 std::vector<TimePair> &pairs) {
      for (int i = 0; i < count; ++i, ++number) {
        bool disturbed = !quietOf || number % quietOf != 0;
        double jitter = 1 + 0.001 * (number % 5);
        pairs.push_back({disturbed ? 2e-4 : 1e-4 * jitter,
                         disturbed ? 1e-4 : 1e-4 * quietRatio, disturbed});
      }
      return true;
    });
  };
  Comparison slower = compare(3, 1.1);
  EXPECT(slower.surelySlower() && slower.ratio > 1.05);
  EXPECT(compare(3, 0.9).surelyFaster());
  Comparison never = compare(0, 1);
  EXPECT(never.pairs == 0 && never.second > 0);
  EXPECT(!never.surelyFaster() && !never.surelySlower());
}

//===----------------------------------------------------------------------===//
// The cost model
//===----------------------------------------------------------------------===//

static void rankCorrelation() {
  EXPECT(spearman({1, 2, 3, 4}, {10, 20, 30, 400}) == 1);
  EXPECT(spearman({1, 2, 3, 4}, {4, 3, 2, 1}) == -1);
  EXPECT(spearman({1, 2, 3}, {5, 5, 5}) == 0);
  EXPECT(std::abs(spearman({1, 2, 3, 4, 5}, {2, 1, 4, 3, 5}) - 0.8) < 1e-12);
  EXPECT(std::abs(spearman({1, 2, 2, 3}, {1, 2, 2, 3}) - 1) < 1e-12);
}

/// Candidates whose time depends on their tile as all kernels' does, or on
/// nothing that their features tell.
static std::vector<Measurement> candidates(bool regular) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<Measurement> all;
  for (int kernel = 0; kernel < 12; ++kernel)
    for (int tile = 0; tile < 8; ++tile)
      for (int task = 0; task < 3; ++task) {
        Measurement m;
        m.kernel = "kernel " + std::to_string(kernel);
        m.schedule = std::to_string(tile) + " " + std::to_string(task);
        double factor = regular ? 1 + 0.2 * std::abs(tile - 5) + 0.1 * task +
                                      0.02 * uniform(random)
                                : 1 + uniform(random);
        m.seconds = 1e-4 * (kernel + 1) * factor;
        m.relative = factor;
        Features f = {{kEstimate, std::log(1e-4 * (kernel + 1))},
                      {"tile", double(tile)},
                      {"task", double(task)},
                      {"size", double(kernel)}};
        m.features = featuresText(f);
        all.push_back(m);
      }
  return all;
}

static void costModelLearns() {
  CostModel costs;
  costs.fit(candidates(true));
  EXPECT(costs.correlation() && *costs.correlation() > 0.9);
  EXPECT(costs.kernels() == 12);
  EXPECT(costs.usesLearned());
  auto score = [&](double tile) {
    return costs.score({{kEstimate, -8}, {"tile", tile}, {"task", 0}, {"size", 20}});
  };
  EXPECT(score(5) < score(1));
  EXPECT(score(5) < score(7));
  CostModel again;
  again.fit(candidates(true));
  EXPECT(*again.correlation() == *costs.correlation());
}

static void costModelKnowsItsLimits() {
  CostModel costs;
  EXPECT(!costs.usesLearned());
  EXPECT(costs.score({{kEstimate, -3}}) == -3);
  costs.fit(candidates(false));
  EXPECT(costs.correlation() && *costs.correlation() < 0.5);
  EXPECT(!costs.usesLearned());
  EXPECT(costs.score({{kEstimate, -3}, {"tile", 5}}) == -3);
  auto few = candidates(true);
  few.resize(24); // of one kernel: nothing is known of unseen ones
  costs.fit(few);
  EXPECT(!costs.correlation());
  EXPECT(!costs.usesLearned());
}

static void featuresRoundTrip() {
  Features f = {{"a", 1.5}, {"kernel_direct", 1}, {"z", -0.25}};
  EXPECT(parseFeatures(featuresText(f)) == f);
  EXPECT(parseFeatures("").empty());
}

//===----------------------------------------------------------------------===//
// Kernels that crash, hang and lie
//===----------------------------------------------------------------------===//

static const char *const kPool = R"mlir(
cnn.model @pool {
  %x = cnn.input "x" : tensor<?x32x20x20xf32>
  %y = cnn.maxpool %x {kernel = array<i64: 2, 2>, stride = array<i64: 2, 2>} : (tensor<?x32x20x20xf32>) -> tensor<?x32x10x10xf32>
  cnn.output %y "y" : tensor<?x32x10x10xf32>
}
)mlir";

/// The group of the model above, with what the compiler would choose if there
/// were no faulty kernels.
struct Pool {
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  mlir::OwningOpRef<mlir::ModuleOp> module;
  cnn::FusedOp group;
  Target target;
  Choice chosen;

  Pool() {
    context.loadDialect<cnn::CnnDialect, exec::ExecDialect,
                        mlir::arith::ArithDialect, mlir::math::MathDialect>();
    std::string known;
    target = *findTarget("host", known);
    module = mlir::parseSourceString<mlir::ModuleOp>(kPool, &context);
    mlir::PassManager manager(&context);
    buildGraphPipeline(manager, PipelineOptions());
    if (mlir::failed(manager.run(*module)))
      exit(1);
    module->walk([&](cnn::FusedOp fused) { group = fused; });
    Group g(group.getBody().front());
    const Kernel *kernel = findKernel("pool");
    chosen = {kernel->schedule(g, target),
              layoutText(kernel->layouts(g, target).front())};
  }
};

/// What a layout is called has spaces, which part features from each other.
static void featuresKeepLayouts() {
  Pool pool;
  Group group(pool.group.getBody().front());
  Features f = featuresOf(group, *findKernel("pool"), pool.chosen.schedule,
                          "nchw -> nchw16c", pool.target);
  Features read = parseFeatures(featuresText(f));
  EXPECT(read.size() == f.size());
  for (auto &[name, value] : f)
    EXPECT(read.count(name) && std::abs(read[name] - value) < 1e-5);
}

static void faultsAreRecorded() {
  Pool pool;
  auto store = openStore("faults.db");
  auto weights = [] {
    std::string error;
    return openWeights("seed:1", error);
  }();
  std::string error;
  WorkFolder work(error);
  MeasureOptions how;
  how.target = pool.target;
  how.threads = 2;
  how.hangSeconds = 1;
  how.folder = work.path;
  {
    GroupSearch search(pool.group, "pool", pool.chosen, pool.target, *store);
    std::vector<int> all;
    for (int i = 0; i < (int)search.candidates.size(); ++i)
      if (search.candidates[i].kernel->name().starts_with("test_") || i == 0)
        all.push_back(i);
    EXPECT(all.size() == 5);
    EXPECT(search.measure(all, *weights, how, *store, [](llvm::StringRef) {}, error));
    EXPECT(search.best() == 0);
  }
  // Another run knows what happened, and does not try again.
  GroupSearch search(pool.group, "pool", pool.chosen, pool.target, *store);
  std::map<std::string, Measurement> known;
  for (const Candidate &candidate : search.candidates)
    if (candidate.known)
      known[candidate.kernel->name().str()] = *candidate.known;
  EXPECT(known["test_crashes"].outcome == Outcome::Crashed);
  EXPECT(known["test_crashes"].reason == "Aborted");
  EXPECT(known["test_hangs"].outcome == Outcome::TimedOut);
  EXPECT(known["test_lies"].outcome == Outcome::WrongValues);
  EXPECT(known["test_does_not_compile"].outcome == Outcome::NotCompiled);
  EXPECT(llvm::StringRef(known["test_does_not_compile"].reason)
             .contains("nowhere"));
  EXPECT(known["pool"].outcome == Outcome::Timed && known["pool"].seconds > 0);
  for (int i : search.next(100, CostModel(), *store))
    EXPECT(!search.candidates[i].kernel->name().starts_with("test_"));
  EXPECT(search.best() == 0);
}

//===----------------------------------------------------------------------===//

static const struct {
  const char *name;
  void (*run)();
} kTests[] = {{"store-keeps", storeKeeps},
              {"store-scopes", storeKeepsScopesApart},
              {"store-merges", storeMerges},
              {"store-damaged", storeSaysWhatIsWrong},
              {"store-killed", storeSurvivesKill},
              {"compare-sure", comparisonsAreSure},
              {"compare-ends", comparisonsEnd},
              {"compare-disturbed", disturbedPairsDontCount},
              {"rank-correlation", rankCorrelation},
              {"cost-model-learns", costModelLearns},
              {"cost-model-limits", costModelKnowsItsLimits},
              {"features", featuresRoundTrip},
              {"features-layouts", featuresKeepLayouts},
              {"faults", faultsAreRecorded}};

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  llvm::SmallString<128> made;
  if (llvm::sys::fs::createUniqueDirectory("halcyon-tune-test", made))
    return 1;
  folder = made.str().str();
  int passed = 0, failed = 0;
  for (const auto &test : kTests) {
    bool named = false, wanted = false;
    for (int i = 1; i < argc; ++i) {
      named |= argv[i][0] != '-';
      wanted |= test.name == std::string(argv[i]);
    }
    wanted |= !named;
    if (!wanted)
      continue;
    failures = 0;
    test.run();
    (failures ? failed : passed) += 1;
    if (failures)
      printf("FAIL %s\n", test.name);
    fflush(stdout);
  }
  llvm::sys::fs::remove_directories(folder);
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
