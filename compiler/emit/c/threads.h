/// Threads that share the work of a run. A team serves one run at a time, any number
/// of teams may be there, and what is computed does not depend on how many threads a
/// team has.
typedef struct @NAME@_team @NAME@_team;

/// A team of so many threads, of which the caller of a run is one; NULL where there is
/// no memory or the system refuses to start a thread.
@NAME@_team *@NAME@_team_create(unsigned threads);
void @NAME@_team_destroy(@NAME@_team *team);

