triaged test policy
