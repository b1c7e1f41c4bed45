CREATE TABLE `analysis_users` (
	`id` text PRIMARY KEY NOT NULL,
	`created_at` integer NOT NULL,
	`name` text NOT NULL,
	`password` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `analysis_users_name_unique` ON `analysis_users` (`name`);
--> statement-breakpoint
CREATE TABLE `analysis_logins` (
	`token_hash` text PRIMARY KEY NOT NULL,
	`user_id` text NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `analysis_logins_by_time` ON `analysis_logins` (`expires_at`);
